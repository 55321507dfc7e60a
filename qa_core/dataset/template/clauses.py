"""Plain English clauses: where the subject ends, which verb is finite, and how the two swap places in a question."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from qa_core.dataset.template.lexicon import (
    ADVERBS,
    AFTER_A_VERB,
    AUXILIARIES,
    BASE_OF_THIRD_PERSON,
    BEFORE_A_NOUN,
    CLEAR_IN_THIRD_PERSON,
    CLEAR_VERBS,
    CONNECTIVES,
    DISCOVERIES,
    FINDINGS,
    INTRANSITIVE,
    LEADS,
    NEVER_A_SUBJECT,
    RELATIVES,
    VERBS_THAT_ARE_NOUNS,
)

_LONGEST_PHRASE = 16  # words
_SHOWS_A_VERB = re.compile(r"\d.*|[a-z]+ly|earlier|later|sooner|faster|better|[a-z]{3,}(?<![sui])s")
"""What follows a verb and seldom a noun: a number, an adverb or a bare plural."""
_INSIDE_A_VERB_PHRASE = ADVERBS - {"only", "both", "also", "even", "almost", "much", "mostly", "alone", "still"}
"""Such an adverb inside a subject means that its verb went unnoticed."""
_PAST_TENSE = DISCOVERIES.keys() | FINDINGS.keys()
"""So does what somebody did: it was the main verb."""
_NEVER_LAST = NEVER_A_SUBJECT | LEADS | {"of", "to"}
_NEVER_FIRST = NEVER_A_SUBJECT | LEADS | {"to", "its", "their"}
_SECOND_CLAUSE = re.compile(
    r" (?:and|but) (?:[^ ,]+ ){1,6}(?:is|are|was|were|can|cannot|must|may|should|does|do) "
)  # fmt: skip
_SECOND_VERB = re.compile(
    r"(?:,| and| or| but) (?:(?:then|also|therefore|thereby|never|always|often|only|still|thus|so) )*"
    r"([a-z]+)(?! of| and|,|$)\b"
)
_DESCRIBING = frozenset(("existing", "growing", "missing", "remaining", "running", "serving", "streaming", "training"))
"""Words in *-ing* that describe a noun, where others begin an action: *streaming snapshots*, *adding snapshots*."""
_HEAD_ENDS = re.compile(r" (?:of|in|on|at|with|for|from|to|per|that|which|who|between|without|by) ")


@dataclass(frozen=True)
class Clause:
    """A statement taken apart, ready to be asked: ``{lead}, why {auxiliary} {subject} {predicate}?``"""

    lead: str
    subject: str
    auxiliary: str
    predicate: str
    """What follows; begins with the bare verb unless the auxiliary is the statement's own."""
    verb: str = ""
    """The bare lexical verb, empty for a statement with an auxiliary of its own."""

    @property
    def inverted(self) -> str:
        return f"{self.auxiliary} {self.subject} {self.predicate}"

    @property
    def do(self) -> str:
        """``do`` or ``does``, whichever agrees with the subject."""
        if self.auxiliary in ("does", "is", "was", "has"):
            return "does"
        if self.auxiliary in ("do", "are", "were", "have"):
            return "do"
        return "do" if is_plural(self.subject) else "does"

    @property
    def object(self) -> str:
        """The predicate after its verb and the adverbs before it; empty without a lexical verb."""
        return self.predicate.partition(f"{self.verb} ")[2] if self.verb else ""

    def ask(self, question: str) -> str:
        """``question`` with the clause's opening before it."""
        return f"{self.lead}, {question}" if self.lead else question


@lru_cache(maxsize=8192)
def parse_clause(text: str) -> Clause | None:
    """``text`` (decapitalised, no full stop) as a :class:`Clause`; None when its structure is not certain."""
    lead, text = _split_lead(text)
    words = text.split(" ")
    position = _finite_verb(words)
    if position is None:
        return None
    subject, adverbs = _split_adverbs(words[:position])
    if not is_noun_phrase(subject) or set(subject.split(" ")) & (_INSIDE_A_VERB_PHRASE | _PAST_TENSE):
        return None
    clause = _clause(lead, subject, words[position], adverbs, words[position + 1 :])
    return None if _goes_on(clause.predicate, singular=clause.auxiliary != "do") else clause


def is_noun_phrase(text: str) -> bool:
    """Whether ``text`` can stand as a thing to ask about: short, no pronoun first, no loose comma."""
    words = text.split(" ")
    if len(words) > _LONGEST_PHRASE or not text or re.search(r"[;:()\[\]]", text):
        return False
    if words[0].lower() in _NEVER_FIRST or words[-1] in _NEVER_LAST:
        return False
    return ", " not in text or bool(re.search(r", [^,]+,? and [^,]+$", text))


def is_plural(phrase: str) -> bool:
    """Whether a noun phrase takes a plural verb, judged by its head before the first preposition."""
    head = _HEAD_ENDS.split(phrase)[0]
    first, last = head.split(" ")[0].lower(), head.split(" ")[-1]
    if first in ("a", "an", "each", "every", "one", "any") or (first.endswith("ing") and first not in _DESCRIBING):
        return False
    return " and " in head or bool(re.search(r"[A-Za-z]{2}(?<![suio])s$", last))


def _split_lead(text: str) -> tuple[str, str]:
    """An opening such as ``at 100 GB/s`` and the clause behind its comma."""
    if text.split(" ", 1)[0].lower() in LEADS and ", " in text:
        lead, rest = text.split(", ", 1)
        if not set(lead.split(" ")) & (AUXILIARIES | RELATIVES):
            return lead, rest
    return "", text


def _split_adverbs(words: list[str]) -> tuple[str, list[str]]:
    """The subject and the adverbs between it and its verb; connectives are dropped."""
    subject, adverbs = list(words), list[str]()
    while len(subject) > 1 and subject[-1] in ADVERBS | CONNECTIVES:
        adverb = subject.pop()
        if adverb not in CONNECTIVES:
            adverbs.insert(0, adverb)
    return " ".join(subject), adverbs


def _finite_verb(words: list[str]) -> int | None:
    """Position of the main verb. A relative clause inside the subject must show its own verb at once."""
    verbs_to_skip = 0
    for position in range(1, len(words)):
        if words[position] in RELATIVES:
            follower = position + (2 if words[position + 1 : position + 2] and words[position + 1] in ADVERBS else 1)
            if words[position] not in ("that", "which", "who") or not _is_finite(words, follower, relative=True):
                return None
            verbs_to_skip += 1
        elif _is_finite(words, position):
            if not verbs_to_skip:
                return position
            verbs_to_skip -= 1
    return None


def _is_finite(words: list[str], position: int, relative: bool = False) -> bool:
    if position >= len(words):
        return False
    word, before = words[position], words[position - 1]
    if word in AUXILIARIES:
        return True
    after = words[position + 1] if position + 1 < len(words) else ""
    base = BASE_OF_THIRD_PERSON.get(word)
    follows = _SHOWS_A_VERB.fullmatch(after) is not None and after not in CLEAR_IN_THIRD_PERSON
    shown = relative or after in AFTER_A_VERB or follows
    shown = shown or (not after and (base or word) in INTRANSITIVE)
    if base is not None:
        return before not in BEFORE_A_NOUN and after not in AUXILIARIES and (base in CLEAR_IN_THIRD_PERSON or shown)
    if not (relative or _plural_so_far(words[:position])):
        return False
    return word in CLEAR_VERBS or (word in VERBS_THAT_ARE_NOUNS and shown)


def _plural_so_far(words: list[str]) -> bool:
    before = words[-2] if words[-1] in ADVERBS and len(words) > 1 else words[-1]
    return is_plural(before) or (is_plural(" ".join(words)) and before not in BEFORE_A_NOUN | LEADS | {"and", "of"})


def _clause(lead: str, subject: str, word: str, adverbs: list[str], rest: list[str]) -> Clause:
    while rest and rest[0] in CONNECTIVES:
        rest = rest[1:]
    if word == "cannot":
        return Clause(lead, subject, "can", " ".join([*adverbs, "not", *rest]))
    base = BASE_OF_THIRD_PERSON.get(word)
    if word in ("has", "have", "had") and not _is_perfect(rest):
        base, word = "have", {"has": "does", "have": "do", "had": "did"}[word]
        return Clause(lead, subject, word, " ".join([*adverbs, base, *rest]), base)
    if word in AUXILIARIES and (base is None or rest[:1] == ["not"]) and (word != "do" or rest[:1] == ["not"]):
        return Clause(lead, subject, word, " ".join([*adverbs, *rest]))
    auxiliary = "does" if base else "do"
    return Clause(lead, subject, auxiliary, " ".join([*adverbs, base or word, *rest]), base or word)


def _is_perfect(rest: list[str]) -> bool:
    words = [word for word in rest if word not in ADVERBS | {"not"}]
    return bool(words) and (words[0].endswith("ed") or words[0] in ("been", "become", "seen", "shown", "grown", "made"))


def _goes_on(predicate: str, singular: bool) -> bool:
    """Whether a second finite verb follows (``reads the log and writes``): it would not survive inversion."""
    if _SECOND_CLAUSE.search(predicate):
        return True
    seconds = _SECOND_VERB.findall(predicate)
    return singular and any(word in AUXILIARIES or word in BASE_OF_THIRD_PERSON for word in seconds)
