"""Whether a paper answers a question that is meant to have no answer in it.

A table of attributes says, for each, how it is asked for and by which words a text states it. A question about an
attribute counts as answered where a sentence about its subject, or the one after it, has such words; any other question
where one or two neighbouring sentences hold nearly all its words and the kind of thing it asks for. Both err towards
*answered*: a good row lost costs less than an abstention that the paper proves wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from qa_core.corpus.sentences import sentence_spans

_NAME = r"(?:[A-Z]\w*-?[A-Za-z]*)"
_MADE = (
    r"(?:introduc|propos|invent|design|describ|develop|publish|coin|popularis|populariz|present|creat|devis|discover|"
    r"originat|formulat|releas|appear)(?:e|ed|es|ing|t|er|or|ion)?s?"
)


@dataclass(frozen=True)
class Attribute:
    """Something one can want to know about a thing."""

    name: str
    kinds: frozenset[str]
    """Kinds of things that have it: those of ``template.unanswerable``."""
    question: str
    missing: str
    """What the paper does not say, after *does not say*."""
    asked: re.Pattern[str]
    """Found in a question that asks for it."""
    stated: re.Pattern[str]
    """Found in a text that may state it."""


def _attribute(name: str, kinds: str, question: str, missing: str, asked: str, stated: str) -> Attribute:
    return Attribute(
        name, frozenset(kinds.split()), question, missing, re.compile(asked, re.IGNORECASE), re.compile(stated)
    )


ATTRIBUTES: tuple[Attribute, ...] = (
    _attribute(
        "first_built",
        "system",
        "in which year was the first {bare} built",
        "in which year the first {bare} was built",
        r"\b(?:what|which) year\b.*\bbuilt\b|\bwho built\b",
        r"\b(?:19|20)\d\d\b",
    ),
    _attribute(
        "year",
        "method named",
        "in which year {was} {thing} first described",
        "in which year {thing} {was} first described",
        rf"\b(?:in )?(?:what|which) year\b|\bwhen (?:was|were|did)\b.*\b{_MADE}\b|\bhow old\b",
        r"\b(?:19|20)\d\d\b",
    ),
    _attribute(
        "term",
        "structure quantity system",
        'who coined the term "{bare}"',
        'who coined the term "{bare}"',
        r"\bwho\b.*\bcoin\w*\b",
        rf"\b{_MADE}\b|\bet al\b|^\[\d+\]|\bcolleagues\b|\bcalled\b|\bcalls\b",
    ),
    _attribute(
        "inventor",
        "method named",
        "who first proposed {thing}",
        "who first proposed {thing}",
        rf"\bwho(?:m|se)?\b.*\b{_MADE}\b|\bwho (?:is|are|was|were) the (?:first|author|inventor|creator)",
        rf"\b{_MADE}\b|\bet al\b|^\[\d+\]|\bcolleagues\b|{_NAME} and {_NAME} (?:prove|show|report|found|argue)",
    ),
    _attribute(
        "library",
        "method structure",
        "which software libraries implement {thing}",
        "which software libraries implement {thing}",
        r"\b(?:what|which) (?:open[- ]source |software )*(?:librar(?:y|ies)|packages?|frameworks?)\b",
        r"\b[A-Z]?[a-z]*[A-Z]\w*[a-z]\w*\b|\b[a-z]+[A-Z]\w*|(?i:\blibrar|\bframework|\bimplement|\bsoftware\b)",
    ),
    _attribute(
        "language",
        "named",
        "in which programming language {is} {thing} written",
        "in which programming language {thing} {is} written",
        r"\bprogramming language|\bimplemented in\b|\b(?:what|which) language\b.*\b(?:written|implement\w*)",
        r"\b(?:C\+\+|C#|Python|Java|Rust|Golang|CUDA|Triton|JavaScript|Fortran|Julia|Scala|Erlang|Haskell)\b"
        r"|\b(?:programming language|lines of code|implementation in|written in)\b",
    ),
    _attribute(
        "licence",
        "named",
        "under which licence {is} {thing} distributed",
        "under which licence {thing} {is} distributed",
        r"\blicen[cs]e|\bopen[- ]source\b",
        r"(?i:\blicen[cs]|\bopen[- ]source|\bproprietary)|\b(?:MIT|Apache|BSD|GPL|Creative Commons)\b",
    ),
    _attribute(
        "company",
        "method",
        "which company first used {thing} in production",
        "which company first used {thing} in production",
        r"\b(?:what|which|whose) (?:company|companies|organi[sz]ation|firm|provider)",
        r"\b(?:Google|Amazon|Microsoft|Meta|Facebook|NVIDIA|Apple|IBM|Netflix|Twitter|Alibaba|OpenAI|DeepMind|Uber)\b"
        r"|(?i:\bcompan(?:y|ies)\b|\bin production\b|\bdeployed\b)",
    ),
    _attribute(
        "machine",
        "method",
        "on which hardware was the benefit of {thing} measured",
        "on which hardware the benefit of {thing} was measured",
        r"\bon (?:what|which) (?:hardware|machine|computer|gpu|cpu|processor|accelerator|server)",
        r"\b(?:NVIDIA|AMD|Intel|[AHV]100s?|TPUs?|GPUs?|CPUs?|Xeon|EPYC|BigTable)\b|(?i:\bmeasure|\bprocessor|\bbenchmark)",
    ),
    _attribute(
        "energy",
        "encoder",
        "how much electrical energy {does} {thing} use",
        "how much electrical energy {thing} {uses}",
        r"\benergy\b|\bpower consumption|\bwatts?\b|\belectric|\bcarbon\b",
        r"(?i:\benergy|\bjoules?\b|\bwatts?\b|\belectric|\bcarbon\b|\bpower (?:draw|consumption|limit))|\b[kM]?Wh?\b",
    ),
    _attribute(
        "price",
        "system",
        "how much money does it cost to run {thing}",
        "how much money it costs to run {thing}",
        r"\bhow much money|\bprice\b|\bcost in (?:money|dollars|euros)|\bdollars?\b|\beuros?\b",
        r"(?i:\bdollars?\b|\beuros?\b|\bpriced?\b|\bcents?\b|\bmoney\b|\bUSD\b)|[€£]\d",
    ),
    _attribute(
        "evaluation_data",
        "encoder",
        "on which data sets was {thing} evaluated",
        "on which data sets {thing} was evaluated",
        r"\b(?:what|which) (?:data ?sets?|corpus|corpora|benchmarks?|traces?|workloads?)",
        r"(?i:\bdata ?sets?|\bcorpus|\bcorpora|\bbenchmark|\btraces?\b|\bworkloads?\b|\bquestion answering\b)|ImageNet",
    ),
    _attribute(
        "training_data",
        "encoder",
        "on how many examples {was} {thing} trained",
        "on how many examples {thing} {was} trained",
        r"\bhow many (?:training )?(?:tokens|examples|sentences|pairs)\b.*\btrain",
        r"(?i:\d[\d,.]*\s*(?:trillion|billion|million|thousand)?\s*(?:training )?(?:tokens|examples|pairs|sentences)"
        r"|\btrained on\b)",
    ),
    _attribute(
        "users",
        "named",
        "how many organisations run {thing}",
        "how many organisations run {thing}",
        r"\bhow many (?:organi[sz]ations|companies|people|users|teams|customers)",
        r"(?i:\d\S* (?:\w+ )?(?:organi[sz]ations|companies|people|users|teams|customers))|\b(?:many|most) users\b",
    ),
    _attribute(
        "version",
        "named",
        "what is the version number of the current release of {thing}",
        "what the version number of the current release of {thing} is",
        r"\b(?:what|which) version|\bversion number|\bcurrent version|\blatest (?:version|release)",
        r"(?i:\bversion|\brelease)|\bv\d",
    ),
    _attribute(
        "operating_system",
        "named",
        "on which operating systems {does} {thing} run",
        "on which operating systems {thing} {runs}",
        r"\boperating systems?\b",
        r"\b(?:Linux|Windows|macOS|Unix|Android|FreeBSD)\b|(?i:\boperating systems?\b)",
    ),
    _attribute(
        "worst_case",
        "algorithm",
        "what is the worst-case running time of {thing}",
        "what the worst-case running time of {thing} is",
        r"\bworst[- ]case\b|\btime complexity\b|\basymptotic",
        r"(?i:\bworst|\bcomplexity\b|\bpolynomial|\blinear|\blogarithmic|\bquadratic|\bNP-hard\b|\bconstant time\b)"
        r"|O\(|Theta|\\log|\\Omega|\bcost\b",
    ),
    _attribute(
        "typical",
        "quantity",
        "what was the highest {bare} ever measured in a production system",
        "what the highest {bare} measured in a production system was",
        r"\b(?:largest|highest|greatest|smallest|lowest)\b.*\b(?:measured|observed|reported|recorded)\b",
        r"(?i:\bmeasured\b|\bobserved\b|\breport|\blargest\b|\bhighest\b|\bin production\b)",
    ),
    _attribute(
        "spread",
        "share",
        "which confidence interval is reported for {thing}",
        "which confidence interval holds for {thing}",
        r"\bconfidence (?:interval|level)|\bstandard (?:error|deviation)|\berror bars?\b|\bsignifican",
        r"(?i:\bconfidence\b|\bstandard (?:error|deviation)|\bvariance\b|\berror bars?)|±|\\pm",
    ),
)

_TOPIC = re.compile(
    r"^in the context of .+?, (?=who|what|which|when|where|why|how|in|on|under|by|to|with|for|at)", re.I
)
_STOP = frozenset(
    """
    a an the of for to in on at by with from into over under and or but not no nor as than that this these those which
    who whom whose what when where why how is are was were be been being am do does did done has have had can could may
    might must shall should will would it its they their them there here then so such only also very much many more most
    first ever term paper according reported given value name named called used use uses using one
    """.split()
)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*|\d[\d.,]*\d|\d")
_REFERENCE = re.compile(r"^\[\d+\] ", re.MULTILINE)
_ENOUGH = 0.8
"""Share of a question's content words in one or two neighbouring sentences that makes them an answer."""
_KINDS: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = (
    (re.compile(r"\bwho(?:m|se)?\b", re.I), re.compile(r"(?<!^)(?<![.] )\b[A-Z][a-z]+")),
    (re.compile(r"\bwhen\b|\b(?:what|which) (?:year|date|month)\b", re.I), re.compile(r"\b(?:1[89]|20)\d\d\b")),
    (
        re.compile(
            r"\bhow (?:many|much|long|often|large|big|fast|old|far|high)\b|\bto what value\b|\bpercentage\b", re.I
        ),
        re.compile(r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|dozen|hundred|half|twice)\b"),
    ),
)
"""How a kind of answer is asked for, and what it looks like."""


def answered_by(question: str, texts: Sequence[str]) -> str | None:
    """The sentence of ``texts`` that may answer ``question``, with its neighbour where both do; None where none does.

    Args:
        texts: all passages of the paper that is asked; references count, as they tell who and when.
    """
    attribute = next((entry for entry in ATTRIBUTES if entry.asked.search(question)), None)
    if attribute is None:
        return _by_words(question, texts)
    # What the question is about is what is left of it without the words that ask.
    rest = attribute.asked.sub(" ", _TOPIC.sub("", question))
    subject = _stems(rest) - _stems(attribute.question.format_map(_Blank()))
    for window in _windows(texts):
        if _is_about(window, subject) and attribute.stated.search(_without(window, question)):
            return window
    return None


def _is_about(window: str, subject: frozenset[str]) -> bool:
    """Whether all words of a short subject, or two in three of a longer one, stand in ``window``."""
    needed = len(subject) if len(subject) < 3 else -(-2 * len(subject) // 3)
    return len(subject & _stems(window)) >= needed


def _by_words(question: str, texts: Sequence[str]) -> str | None:
    plain = _TOPIC.sub("", question)
    wanted = _stems(plain)
    looks_like = next((answer for asks, answer in _KINDS if asks.search(plain)), None)
    for window in _windows(texts):
        found = wanted & _stems(window)
        if len(found) < _ENOUGH * len(wanted):
            continue
        if looks_like is None or looks_like.search(_without(window, question)):
            return window
    return None


def _windows(texts: Sequence[str]) -> Iterator[str]:
    """Every sentence, and every two neighbours; an entry of a reference list is one sentence."""
    for text in texts:
        yield from _windows_of(text)


@lru_cache(maxsize=4096)
def _windows_of(text: str) -> tuple[str, ...]:
    if _REFERENCE.search(text):
        return tuple(" ".join(entry.split()) for entry in re.split(r"\n\s*\n|\n(?=\[\d+\])", text))
    sentences = [" ".join(text[start:end].split()) for start, end in sentence_spans(text)]
    pairs = [f"{first} {second}" for first, second in zip(sentences, sentences[1:], strict=False)]
    return tuple(sentences + pairs)


@lru_cache(maxsize=16384)
def _stems(text: str) -> frozenset[str]:
    """Content words without case and endings, so that *hashing* meets *hash* and *policies* meets *policy*."""
    words = (word.lower() for word in _WORD.findall(text))
    return frozenset(_stem(word) for word in words if word not in _STOP)


def _stem(word: str) -> str:
    for ending, stem in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""), ("e", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word.removesuffix(ending) + stem
    return word


def _without(window: str, question: str) -> str:
    """``window`` without the names and numbers that the question has itself: they are no answer to it."""
    own = {word for word in re.findall(r"[\w.,-]*\w", question) if not word.islower()}
    return re.sub(r"[\w.,-]*\w", lambda match: "" if match[0] in own else match[0], window)


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""
