"""Rules that read a question out of a statement, one function a question type.

Each rule takes a :class:`Statement` and yields questions that the statement answers. A rule says nothing rather than
something doubtful: the corpus has more sentences than a data set needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from qa_core.dataset.clauses import NAMES, Clause, decapitalise, is_noun_phrase, parse_clause
from qa_core.dataset.prompts import FRAMES
from qa_core.dataset.verbs import PAST_OF_DISCOVERY, PAST_OF_FINDING

_NUMBER = r"(?:\d[\d,]*(?:\.\d+)?|two|three|four|five|six|seven|eight|nine|ten|twelve)"
_QUALIFIER = r"(?:about|roughly|only|exactly|at most|at least|up to|just|nearly|around|approximately|some|another)"
_UNITS = {"ms": "milliseconds", "s": "seconds", "GB": "GB", "MB": "MB", "KB": "KB", "GiB": "GiB", "MiB": "MiB",
          "KiB": "KiB", "TB": "TB", "GFLOP": "GFLOP", "TFLOPS": "TFLOPS"}  # fmt: skip
_COUNTING = frozenset(
    [
        "have",
        "use",
        "need",
        "require",
        "contain",
        "hold",
        "store",
        "reserve",
        "take",
        "allow",
        "tolerate",
        "occupy",
        "cost",
        "carry",
        "reach",
        "waste",
        "send",
        "save",
        "consume",
        "group",
        "support",
        "process",
        "produce",
        "keep",
        "lose",
        "add",
        "read",
        "write",
        "move",
        "last",
    ]
)
_CONTENT_VERBS = frozenset(
    [
        "hold",
        "contain",
        "store",
        "require",
        "include",
        "guarantee",
        "assume",
        "measure",
        "map",
        "record",
        "carry",
        "describe",
        "define",
        "need",
        "mean",
        "separate",
        "consist",
    ]
)
_CHANGING = frozenset(["raise", "lower", "reduce", "increase", "cut", "bring", "shrink", "limit"])
_DONE = (
    "computed|measured|defined|chosen|drawn|estimated|determined|obtained|calculated|derived|represented|encoded|stored|"
    "assigned|selected|divided|built|trained|compared|placed|initialised|reconstructed|quantised|expressed|split|scored|judged"
)
_JUDGES = re.compile(
    r"(?:usual|best|opposite|classical|same|only|right|central|main|first|second|third|last|natural|most|simple|simplest|"
    r"better|good|poor|compromise|trade|trade-off|gamble|choice|problem|reason|common|cheap|large|small|single|key|result|"
    r"sensible|special|standard|chain|consequence|matter|sum|product|[a-z]+er)\b"
)
"""``X is the usual choice`` says what X is worth, not what it is."""
_ANNOUNCED = frozenset(
    [
        "ways",
        "reasons",
        "drawbacks",
        "properties",
        "advantages",
        "benefits",
        "results",
        "ideas",
        "parts",
        "purposes",
        "roles",
        "costs",
    ]
)
"""``X has two drawbacks`` announces an answer that stands elsewhere."""
_PREPOSITIONS = frozenset(
    [
        "in",
        "on",
        "at",
        "for",
        "from",
        "to",
        "with",
        "by",
        "than",
        "between",
        "during",
        "within",
        "before",
        "after",
        "over",
        "under",
        "across",
        "into",
        "as",
    ]
)
_COORDINATE = re.compile(r"(?:, (?:and|but|so|yet|or)|;|:) ")
_TAIL = re.compile(
    r"(?:[,;:]| because | so that | whereas | while | although | and | or | but | which | when | if | after | unless ).*"
)


@dataclass(frozen=True)
class Statement:
    """One sentence on its way to questions."""

    text: str
    """As it would stand inside another sentence, without its full stop."""
    context: str
    """The chunk it comes from."""
    follows: bool
    """Whether the sentence before it belongs to the answer."""


Rule = Callable[[Statement], Iterator[str]]


def factual(statement: Statement) -> Iterator[str]:
    """Definitions, attributions, properties and numbers."""
    text = statement.text
    if definition := re.fullmatch(
        r"((?:(?:an?|the) )?[^,]{2,60}?) (is|are) (?:an?|the|any|one of the) ([a-z].+)", text
    ):
        subject, be, rest = definition.groups()
        explains = re.search(r" (?:that|which|who|whose|where|of|for|in|with|to)\b| [a-z]+ed ", rest)
        if explains and not _JUDGES.match(rest) and _short_term(subject):
            yield FRAMES["definition"].format(be=be, subject=subject)
    if attribution := re.match(rf"({NAMES.pattern}) (\w+) (.+)", text):
        yield from _asked_of_people(*attribution.groups())
    clause = parse_clause(_first_clause(text))
    if clause is not None:
        for question in (*_numbers(clause), *_properties(clause), *_manners(clause)):
            yield _with_lead(clause, question)


def analytical(statement: Statement) -> Iterator[str]:
    """Reasons and means."""
    for effect in _effects(statement):
        condition = re.match(r"((?:if|when) [^,;:]+), (?:then )?", effect)
        clause = parse_clause(effect[condition.end() :] if condition else effect)
        if clause is not None:
            question = _with_lead(clause, FRAMES["reason"].format(clause=clause.inverted))
            yield f"{condition[1]}, {question}" if condition else question
    means = re.fullmatch(r"(.+?) by (?:means of|[a-z]+ing) .+", statement.text)
    if means and not re.search(r"[,:;]| (?:because|if|when|so) ", means[1]) and (clause := parse_clause(means[1])):
        if clause.verb and clause.object and not re.search(r"\b(?:never|not)\b", clause.predicate):
            yield _with_lead(clause, FRAMES["means"].format(clause=clause.inverted))


def comparative(statement: Statement) -> Iterator[str]:
    """Two things set against each other."""
    for first, second, frame in _contrasts(statement):
        if _comparable(first.subject) and _comparable(second) and first.subject != second:
            question = FRAMES[frame].format(do=first.do, first=first.subject, second=second)
            yield _with_lead(first, question)


def hypothetical(statement: Statement) -> Iterator[str]:
    """Conditions and changes with their consequence."""
    text = statement.text
    if opening := re.match(r"(?:.+[;:] )?(if|when) (?:([^;:]+?), then |([^,;:]+), )", text):
        yield from _asked_condition(opening[1], opening[2] or opening[3])
    elif closing := re.fullmatch(r"(.+)(?<!even)(?<!as)(?<!only)(?<!or) (if|when) ([^,;:]+)(.*)", text):
        if _is_event(parse_clause(_COORDINATE.split(closing[1])[-1])):
            yield from _asked_condition(closing[2], closing[3])
    if absent := re.match(r"without ([^,]+), ", text):
        if is_noun_phrase(absent[1]):
            yield FRAMES["condition"].format(condition=f"without {absent[1]}")
    clause = parse_clause(_first_clause(text))
    if clause is not None and re.match(r"(?:[a-z]+ly )?[a-z]{2,}ing (?:the|an?|each|every|all|both)\b", clause.subject):
        if clause.verb and clause.verb not in ("need", "require", "cost", "mean"):
            yield _with_lead(clause, FRAMES["effect"].format(action=clause.subject))


RULES: dict[str, Rule] = {
    "factual": factual,
    "analytical": analytical,
    "comparative": comparative,
    "hypothetical": hypothetical,
}


def _with_lead(clause: Clause, question: str) -> str:
    return f"{clause.lead}, {question}" if clause.lead else question


def _first_clause(text: str) -> str:
    return _COORDINATE.split(text)[0]


def _short_term(subject: str) -> bool:
    words = subject.split(" ")
    return (
        len(words) <= 6
        and not re.match(r"[a-z]+ing (?:an?|the)\b", subject)
        and is_noun_phrase(subject)
        and parse_clause(subject + " is so") is not None
    )


def _asked_of_people(names: str, verb: str, rest: str) -> Iterator[str]:
    if verb in PAST_OF_DISCOVERY:
        yield FRAMES["attribution"].format(predicate=f"{verb} {_TAIL.sub('', rest)}")
    elif verb in PAST_OF_FINDING:
        yield FRAMES["finding"].format(subject=names, verb=PAST_OF_FINDING[verb])


def _numbers(clause: Clause) -> Iterator[str]:
    if not clause.verb:
        if re.match(rf"(?:{_QUALIFIER} )?{_NUMBER}\b", clause.predicate) and clause.auxiliary in ("is", "are"):
            if re.match(r"the .* of ", clause.subject):
                yield FRAMES["definition"].format(be=clause.auxiliary, subject=clause.subject)
        return
    counted = re.match(rf"(?:{_QUALIFIER} )*{_NUMBER} ([A-Za-z][^,;:.$]*)", clause.object)
    if counted and clause.verb in _COUNTING:
        yield from _counted(clause, _TAIL.sub("", counted[1]))
    moved = re.match(rf"(?!from )([^,;:$]+?)( from [^,;:$]+?)? to (?:{_QUALIFIER} )?{_NUMBER}", clause.object)
    if moved and clause.verb in _CHANGING:
        frame = "change" if moved[2] else "target"
        yield FRAMES[frame].format(do=clause.do, subject=clause.subject, verb=f"{clause.verb} {moved[1]}")


def _counted(clause: Clause, rest: str) -> Iterator[str]:
    """``tokens per second at rest`` -> how many *tokens per second* ... *at rest*."""
    words = rest.split(" ")
    end = next((i for i, word in enumerate(words) if word in _PREPOSITIONS), len(words))
    head = next((i for i, word in enumerate(words[:end]) if word in ("of", "per")), end) - 1
    if (
        head < 0
        or words[head] in _ANNOUNCED
        or re.search(r"\d|\bplus\b", rest)
        or not (words[head] in _UNITS or re.search(r"[a-z]{2}(?<![sui])s$", words[head]))
    ):
        return
    words[head] = _UNITS.get(words[head], words[head])
    verb = " ".join([clause.verb, *words[end:]])
    yield FRAMES["count"].format(things=" ".join(words[:end]), do=clause.do, subject=clause.subject, verb=verb)


def _properties(clause: Clause) -> Iterator[str]:
    stated = clause.verb in ("state", "say") and clause.object.startswith("that ")
    if stated or (clause.verb in _CONTENT_VERBS and clause.object and clause.auxiliary in ("do", "does")):
        bare = re.fullmatch(r"the [a-z-]+|[a-z]+|(?:two|three|four|five) .+", clause.subject)
        if not bare and not re.match(rf"(?:{_QUALIFIER} )*{_NUMBER}\b|only |for |in |at |on |with ", clause.object):
            verb = "consist of" if clause.verb == "consist" else clause.verb
            yield FRAMES["object"].format(do=clause.do, subject=clause.subject, verb=verb)


def _manners(clause: Clause) -> Iterator[str]:
    done = re.match(
        rf"(?:usually |normally |commonly |often )?({_DONE}) (?:by|as|from|with|in|at|for|on|to|into) ",
        clause.predicate,
    )
    if done and clause.auxiliary in ("is", "are"):
        yield FRAMES["manner"].format(clause=f"{clause.auxiliary} {clause.subject} {done[1]}")


def _effects(statement: Statement) -> Iterator[str]:
    """Clauses whose reason the same sentence, or the one before it, gives."""
    text = statement.text
    if front := re.fullmatch(r"because [^,]+, (.+)", text):
        yield _first_clause(front[1])
    elif middle := re.fullmatch(r"(.+?),? (?:because|since) (?!then\b).+", text):
        if ", since " in text or " because " in text:
            effect = _COORDINATE.split(middle[1])[-1]
            if not effect.endswith(" not"):
                yield re.sub(r",? (?:only|merely|mainly|partly|largely|simply|precisely|either|in part)$", "", effect)
    elif result := re.search(r"(?:, so that|, so|, therefore|, and therefore|; therefore,?) (.+)", text):
        yield _first_clause(_TAIL_CLAUSE.sub("", result[1]))
    elif statement.follows:
        yield _first_clause(_TAIL_CLAUSE.sub("", text))


_TAIL_CLAUSE = re.compile(r", (?:which|whereas|while|although|where|even|not|as|plus|rather|each|with|but|and|so)\b.*")


_AFTER_PHRASE = re.compile(
    r" (?:in|because|and|when|if|but|while|for|by|at|as|on|does|do|is|are|would|before|after|once) "
)


def _contrasts(statement: Statement) -> Iterator[tuple[Clause, str, str]]:
    text = statement.text
    if unlike := re.match(r"unlike ([^,]+), (.+)", text):
        if clause := parse_clause(_first_clause(unlike[2])):
            yield clause, unlike[1], "contrast"
    elif compared := re.match(r"compared (?:with|to) ([^,]+), (.+)", text):
        if clause := parse_clause(_first_clause(compared[2])):
            yield clause, compared[1], "comparison"
    elif opposed := re.fullmatch(r"(.+?), (?:whereas|while) (.+)", text):
        first = parse_clause(re.split(r"(?:, (?:and|but|so|yet)|[;:]) ", opposed[1])[-1])
        second = parse_clause(opposed[2])
        if first and second:
            yield first, second.subject, "difference"
    elif same := re.search(r" (?:the same [^,;:]{1,40}? as|differs? from|than) ([^,;:]+)", text):
        second = _AFTER_PHRASE.split(same[1])[0]
        clause = parse_clause(_COORDINATE.split(text[: same.start(1)])[-1] + second)
        if clause and not re.search(
            r" (?:rather|other|when|if|because|that|which|while|where|since|so|and|to) ", clause.predicate
        ):
            yield clause, second, "comparison"


def _comparable(phrase: str) -> bool:
    """A noun phrase that names a thing: not a number, not a stand-in for one."""
    if re.match(
        r"(?:\d|half|once|twice|one\b|(?:two|three|four|five|six|seven|eight|ten)\b|a factor|others?\b|usual|expected|necessary|needed|before|ever|all\b|those\b|what|any\b)",
        phrase,
    ):
        return False
    return is_noun_phrase(phrase) and not re.search(r" (?:does|do|is|are|can|one|ones|first|second|other)$", phrase)


def _asked_condition(word: str, condition: str) -> Iterator[str]:
    condition = re.split(r" (?:because|so that|and (?:the|an?|its?) ) ", condition)[0]
    decapitalised = decapitalise(condition, condition) or condition
    if parse_clause(decapitalised) is not None or _passive(condition):
        yield FRAMES["condition"].format(condition=f"{word} {condition}")


def _is_event(clause: Clause | None) -> bool:
    """Whether the clause tells of something that happens, rather than of how something is."""
    if clause is None:
        return False
    return (
        bool(clause.verb)
        or clause.auxiliary in ("can", "must", "may", "would")
        or " " not in clause.predicate.split("ed")[0]
    )


def _passive(condition: str) -> bool:
    return bool(re.match(r"(?:the|an?|all|every|each|two|both)\b.* (?:is|are|was|were) ", condition))
