"""What one can want to know about a thing of a paper: how it is asked for, and by which words a text states it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = r"(?:[A-Z]\w*-?[A-Za-z]*)"
MADE = (
    r"(?:introduc|propos|invent|design|describ|develop|publish|coin|popularis|populariz|present|creat|devis|discover|"
    r"originat|formulat|releas|appear)(?:e|ed|es|ing|t|er|or|ion)?s?"
)
"""A word for how something came into the world."""


@dataclass(frozen=True)
class Attribute:
    """Something one can want to know about a thing."""

    name: str
    kinds: frozenset[str]
    """Kinds of things that have it: those of ``template.unanswerable``."""
    question: str
    missing: str
    """What the paper does not say, after *does not say*."""
    words: str
    """Words in which others ask for it, beside those of ``question``."""
    asked: re.Pattern[str]
    """Found in a question that asks for it."""
    stated: re.Pattern[str]
    """Found in a text that may state it."""


def _attribute(name: str, kinds: str, question: str, missing: str, words: str, asked: str, stated: str) -> Attribute:
    patterns = re.compile(asked, re.IGNORECASE), re.compile(stated)
    return Attribute(name, frozenset(kinds.split()), question, missing, words, *patterns)


ATTRIBUTES: tuple[Attribute, ...] = (
    _attribute(
        "first_built",
        "system",
        "in which year was the first {bare} built",
        "in which year the first {bare} was built",
        "built",
        r"\b(?:what|which) year\b.*\bbuilt\b|\bwho built\b",
        r"\b(?:19|20)\d\d\b",
    ),
    _attribute(
        "year",
        "method named",
        "in which year {was} {thing} first described",
        "in which year {thing} {was} first described",
        "when published",
        rf"\b(?:in )?(?:what|which) year\b|\bwhen (?:was|were|did)\b.*\b{MADE}\b|\bhow old\b",
        r"\b(?:19|20)\d\d\b",
    ),
    _attribute(
        "term",
        "structure quantity system",
        'who coined the term "{bare}"',
        'who coined the term "{bare}"',
        "coined",
        r"\bwho\b.*\bcoin\w*\b",
        rf"\b{MADE}\b|\bet al\b|^\[\d+\]|\bcolleagues\b|\bcalled\b|\bcalls\b",
    ),
    _attribute(
        "inventor",
        "method named",
        "who first proposed {thing}",
        "who first proposed {thing}",
        "by",
        rf"\bwho(?:m|se)?\b.*\b{MADE}\b|\bwho (?:is|are|was|were) the (?:first|author|inventor|creator)",
        rf"\b{MADE}\b|\bet al\b|^\[\d+\]|\bcolleagues\b|{_NAME} and {_NAME} (?:prove|show|report|found|argue)",
    ),
    _attribute(
        "library",
        "method structure",
        "which software libraries implement {thing}",
        "which software libraries implement {thing}",
        "open source package packages library framework frameworks implements implemented",
        r"\b(?:what|which) (?:open[- ]source |software )*(?:librar(?:y|ies)|packages?|frameworks?)\b",
        r"\b[A-Z]?[a-z]*[A-Z]\w*[a-z]\w*\b|\b[a-z]+[A-Z]\w*|(?i:\blibrar|\bframework|\bimplement|\bsoftware\b)",
    ),
    _attribute(
        "language",
        "named",
        "in which programming language {is} {thing} written",
        "in which programming language {thing} {is} written",
        "implemented implementation code",
        r"\bprogramming language|\bimplemented in\b|\b(?:what|which) language\b.*\b(?:written|implement\w*)",
        r"\b(?:C\+\+|C#|Python|Java|Rust|Golang|CUDA|Triton|JavaScript|Fortran|Julia|Scala|Erlang|Haskell)\b"
        r"|\b(?:programming language|lines of code|implementation in|written in)\b",
    ),
    _attribute(
        "licence",
        "named",
        "under which licence {is} {thing} distributed",
        "under which licence {thing} {is} distributed",
        "license open source released licensed",
        r"\blicen[cs]e|\bopen[- ]source\b",
        r"(?i:\blicen[cs]|\bopen[- ]source|\bproprietary)|\b(?:MIT|Apache|BSD|GPL|Creative Commons)\b",
    ),
    _attribute(
        "company",
        "method",
        "which company first used {thing} in production",
        "which company first used {thing} in production",
        "companies organisation organization firm provider",
        r"\b(?:what|which|whose) (?:company|companies|organi[sz]ation|firm|provider)",
        r"\b(?:Google|Amazon|Microsoft|Meta|Facebook|NVIDIA|Apple|IBM|Netflix|Twitter|Alibaba|OpenAI|DeepMind|Uber)\b"
        r"|(?i:\bcompan(?:y|ies)\b|\bin production\b|\bdeployed\b)",
    ),
    _attribute(
        "machine",
        "method",
        "on which hardware was the benefit of {thing} measured",
        "on which hardware the benefit of {thing} was measured",
        "machine computer gpu cpu processor accelerator server evaluated tested",
        r"\bon (?:what|which) (?:hardware|machine|computer|gpu|cpu|processor|accelerator|server)",
        r"\b(?:NVIDIA|AMD|Intel|[AHV]100s?|TPUs?|GPUs?|CPUs?|Xeon|EPYC|BigTable)\b|(?i:\bmeasure|\bprocessor|\bbenchmark)",
    ),
    _attribute(
        "energy",
        "encoder",
        "how much electrical energy {does} {thing} use",
        "how much electrical energy {thing} {uses}",
        "power consumption consume watts electricity carbon",
        r"\benergy\b|\bpower consumption|\bwatts?\b|\belectric|\bcarbon\b",
        r"(?i:\benergy|\bjoules?\b|\bwatts?\b|\belectric|\bcarbon\b|\bpower (?:draw|consumption|limit))|\b[kM]?Wh?\b",
    ),
    _attribute(
        "price",
        "system",
        "how much money does it cost to run {thing}",
        "how much money it costs to run {thing}",
        "price dollars euros costs",
        r"\bhow much money|\bprice\b|\bcost in (?:money|dollars|euros)|\bdollars?\b|\beuros?\b",
        r"(?i:\bdollars?\b|\beuros?\b|\bpriced?\b|\bcents?\b|\bmoney\b|\bUSD\b)|[€£]\d",
    ),
    _attribute(
        "evaluation_data",
        "encoder",
        "on which data sets was {thing} evaluated",
        "on which data sets {thing} was evaluated",
        "corpus corpora benchmark benchmarks trace traces workload workloads tested",
        r"\b(?:what|which) (?:data ?sets?|corpus|corpora|benchmarks?|traces?|workloads?)",
        r"(?i:\bdata ?sets?|\bcorpus|\bcorpora|\bbenchmark|\btraces?\b|\bworkloads?\b|\bquestion answering\b)|ImageNet",
    ),
    _attribute(
        "training_data",
        "encoder",
        "on how many examples {was} {thing} trained",
        "on how many examples {thing} {was} trained",
        "tokens sentences pairs training",
        r"\bhow many (?:training )?(?:tokens|examples|sentences|pairs)\b.*\btrain",
        r"(?i:\d[\d,.]*\s*(?:trillion|billion|million|thousand)?\s*(?:training )?(?:tokens|examples|pairs|sentences)"
        r"|\btrained on\b)",
    ),
    _attribute(
        "users",
        "named",
        "how many organisations run {thing}",
        "how many organisations run {thing}",
        "organizations companies people users teams customers use",
        r"\bhow many (?:organi[sz]ations|companies|people|users|teams|customers)",
        r"(?i:\d\S* (?:\w+ )?(?:organi[sz]ations|companies|people|users|teams|customers))|\b(?:many|most) users\b",
    ),
    _attribute(
        "version",
        "named",
        "what is the version number of the current release of {thing}",
        "what the version number of the current release of {thing} is",
        "latest versions",
        r"\b(?:what|which) version|\bversion number|\bcurrent version|\blatest (?:version|release)",
        r"(?i:\bversion|\brelease)|\bv\d",
    ),
    _attribute(
        "operating_system",
        "named",
        "on which operating systems {does} {thing} run",
        "on which operating systems {thing} {runs}",
        "supported",
        r"\boperating systems?\b",
        r"\b(?:Linux|Windows|macOS|Unix|Android|FreeBSD)\b|(?i:\boperating systems?\b)",
    ),
    _attribute(
        "worst_case",
        "algorithm",
        "what is the worst-case running time of {thing}",
        "what the worst-case running time of {thing} is",
        "complexity asymptotic case worst",
        r"\bworst[- ]case\b|\btime complexity\b|\basymptotic",
        r"(?i:\bworst|\bcomplexity\b|\bpolynomial|\blinear|\blogarithmic|\bquadratic|\bNP-hard\b|\bconstant time\b)"
        r"|O\(|Theta|\\log|\\Omega|\bcost\b",
    ),
    _attribute(
        "typical",
        "quantity",
        "what is a typical {bare} in a production system",
        "what a typical {bare} in a production system is",
        "usual common average value normally",
        r"\b(?:typical|usual|common|average)\b",
        r"(?i:\btypical|\busual|\bcommon|\baverage\b|\bdefault\b|\brecommend|\bmean\b|\bin production\b|\bmeasured\b)",
    ),
    _attribute(
        "spread",
        "share",
        "which confidence interval is reported for {thing}",
        "which confidence interval holds for {thing}",
        "level standard error deviation bars significance significant given",
        r"\bconfidence (?:interval|level)|\bstandard (?:error|deviation)|\berror bars?\b|\bsignifican",
        r"(?i:\bconfidence\b|\bstandard (?:error|deviation)|\bvariance\b|\berror bars?)|±|\\pm",
    ),
)
