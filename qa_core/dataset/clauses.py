"""Plain English clauses: where the subject ends, which verb is finite, and how the two swap places in a question."""

from __future__ import annotations

import re
from dataclasses import dataclass

from qa_core.dataset.verbs import AMBIGUOUS_BASES, AUXILIARIES, BASE_OF_THIRD_PERSON, CLEAR_BASES, CLEAR_IN_THIRD_PERSON

_ADVERBS = frozenset(
    [
        "also",
        "always",
        "already",
        "actually",
        "alone",
        "almost",
        "both",
        "commonly",
        "directly",
        "effectively",
        "either",
        "easily",
        "entirely",
        "essentially",
        "eventually",
        "frequently",
        "generally",
        "immediately",
        "independently",
        "indirectly",
        "instead",
        "itself",
        "largely",
        "likewise",
        "mainly",
        "merely",
        "mostly",
        "much",
        "naturally",
        "nearly",
        "never",
        "normally",
        "now",
        "often",
        "only",
        "partly",
        "periodically",
        "quickly",
        "rarely",
        "repeatedly",
        "roughly",
        "simply",
        "slowly",
        "sometimes",
        "soon",
        "still",
        "surprisingly",
        "then",
        "typically",
        "usually",
        "well",
    ]
)
_CONNECTIVES = frozenset(
    ["therefore", "thus", "hence", "consequently", "however", "then", "nevertheless", "nonetheless", "indeed"]
)
_DETERMINERS = frozenset(
    [
        "a",
        "an",
        "the",
        "each",
        "every",
        "all",
        "any",
        "some",
        "no",
        "both",
        "its",
        "their",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "more",
        "less",
        "fewer",
        "most",
        "many",
        "several",
        "only",
        "about",
        "roughly",
        "exactly",
        "nearly",
        "at",
        "for",
        "little",
        "much",
        "up",
        "so",
        "far",
        "hardly",
    ]
)
_AFTER_VERB = _DETERMINERS | frozenset(["to", "again", "while", "when", "if", "until", "because", "as", "than", "with"])
_NOT_A_SUBJECT = frozenset(
    [
        "it",
        "they",
        "this",
        "these",
        "those",
        "such",
        "that",
        "there",
        "he",
        "she",
        "we",
        "you",
        "i",
        "which",
        "who",
        "what",
        "here",
        "both",
        "others",
        "neither",
        "either",
        "another",
        "and",
        "or",
        "but",
        "so",
        "yet",
        "nor",
        "than",
        "as",
        "because",
        "although",
        "though",
        "while",
        "whereas",
        "if",
        "when",
        "where",
        "since",
        "unless",
        "until",
        "not",
        "even",
        "just",
        "without",
        "unlike",
    ]
)
_RELATIVE = frozenset(
    [
        "that",
        "which",
        "who",
        "whose",
        "where",
        "when",
        "because",
        "if",
        "while",
        "whereas",
        "although",
        "what",
        "how",
        "why",
    ]
)
_LEADS = frozenset(
    [
        "in",
        "at",
        "for",
        "with",
        "on",
        "during",
        "under",
        "by",
        "after",
        "before",
        "from",
        "within",
        "over",
        "across",
        "among",
        "between",
        "given",
        "beyond",
    ]
)
_FUNCTION_WORDS = frozenset(
    ["a", "an", "the", "each", "every", "all", "any", "most", "many", "some", "several", "both", "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "other", "another", "only", "such", "few", "fewer", "more", "less", "larger", "smaller", "longer", "shorter", "higher", "lower", "faster", "slower", "if", "when", "because", "unlike", "without", "compared", "since", "even", "instead", "once"]
) | _LEADS  # fmt: skip
_COMMON_ENDINGS = ("ing", "tion", "sion", "ment", "ness", "ity", "ance", "ence", "ism", "ally", "ous", "able", "ible",
                   "ive", "ful", "ions", "ments", "ed", "al", "ency", "ancy", "ent", "ors", "age")  # fmt: skip
_SHOWS_A_VERB = re.compile(r"[a-z]+ly|earlier|later|sooner|faster|better|on average|[a-z]{3,}(?<![sui])s")
"""What follows a verb and seldom a noun: an adverb or a bare plural."""
_NAME = r"[A-Z][a-zé]+(?:[A-Z][a-z]+)?"
NAMES = re.compile(rf"{_NAME}(?:(?:, {_NAME})* and {_NAME}| et al\.)?(?: and colleagues)?")
"""``Dean and Barroso``, ``Fischer, Lynch and Paterson``, ``Shoeybi et al.``"""


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
        """The predicate after its verb and the adverbs before it."""
        return self.predicate.partition(f"{self.verb} ")[2] if self.verb else self.predicate


def parse_clause(text: str) -> Clause | None:
    """``text`` (decapitalised, no full stop) as a :class:`Clause`; None when its structure is not certain."""
    lead, text = _split_lead(text)
    words = text.split(" ")
    if words[0].lower() in _NOT_A_SUBJECT:
        return None
    position = _finite_verb(words)
    if position is None:
        return None
    subject_words = words[:position]
    adverbs: list[str] = []
    while len(subject_words) > 1 and subject_words[-1] in _ADVERBS | _CONNECTIVES:
        adverb = subject_words.pop()
        if adverb not in _CONNECTIVES:
            adverbs.insert(0, adverb)
    subject = " ".join(subject_words)
    if not is_noun_phrase(subject):
        return None
    clause = _with_auxiliary(lead, subject, words, position, adverbs)
    return None if _coordinates_a_verb(clause.predicate, clause.auxiliary != "do") else clause


def is_noun_phrase(text: str) -> bool:
    """Whether ``text`` can stand as a thing to ask about: short, no pronoun first, no loose comma."""
    words = text.split(" ")
    if (
        not 1 <= len(words) <= 16
        or re.search(r"[;:()\[\]]", text)
        or words[-1] in _NOT_A_SUBJECT | _LEADS | {"of", "to"}
    ):
        return False
    if words[0].lower() in _NOT_A_SUBJECT | _LEADS | {"to", "its", "their"}:
        return False
    return ", " not in text or bool(re.search(r", [^,]+,? and [^,]+$", text))


def is_plural(phrase: str) -> bool:
    """Whether a noun phrase takes a plural verb, judged by its head before the first preposition."""
    head = re.split(r" (?:of|in|on|at|with|for|from|to|per|that|which|who|between|without|by) ", phrase)[0]
    first, last = head.split(" ")[0].lower(), head.split(" ")[-1]
    if first in ("a", "an", "each", "every", "one", "any") or first.endswith("ing"):
        return False
    return " and " in head or bool(re.search(r"[A-Za-z]{2}(?<!s|u|i|o)s$", last))


def decapitalise(sentence: str, context: str) -> str | None:
    """``sentence`` as it would stand inside another one; None when its first word may or may not be a name.

    A word is a name if ``context`` writes it with a capital inside a sentence, and common if it writes it small.
    """
    word = re.split(r"[\s,]", sentence, maxsplit=1)[0]
    bare = word.removesuffix("'s")
    if not re.fullmatch(r"[A-Z][a-z]*(?:-[a-z]+)*", bare):
        return sentence
    lower = bare.lower()
    small = lower[:1] + sentence[1:]
    if lower in _FUNCTION_WORDS or re.match(r"[a-z]{3,}-", lower):
        return small
    if re.search(rf"(?<=[a-z,;] ){re.escape(bare)}\b", context):
        return sentence
    variants = {lower, lower.rstrip("s"), lower + "s", lower.split("-")[0]}
    if any(re.search(rf"(?<![\w-]){re.escape(variant)}(?!\w)", context) for variant in variants):
        return small
    return small if lower.endswith(_COMMON_ENDINGS) else None


def _split_lead(text: str) -> tuple[str, str]:
    """An opening such as ``at 100 GB/s`` and the clause behind its comma."""
    first = text.split(" ", 1)[0].lower()
    if first in _LEADS and ", " in text:
        lead, rest = text.split(", ", 1)
        if not set(lead.split(" ")) & (AUXILIARIES | _RELATIVE):
            return lead, rest
    return "", text


def _finite_verb(words: list[str]) -> int | None:
    """Position of the main verb. A relative clause inside the subject must show its own verb at once."""
    verbs_to_skip = 0
    for position, word in enumerate(words):
        if position and word in _RELATIVE:
            follower = position + 2 if position + 2 < len(words) and words[position + 1] in _ADVERBS else position + 1
            if word not in ("that", "which", "who") or not _looks_finite(words, follower, relative=True):
                return None
            verbs_to_skip += 1
        elif position and _looks_finite(words, position):
            if not verbs_to_skip:
                return position
            verbs_to_skip -= 1
    return None


def _looks_finite(words: list[str], position: int, relative: bool = False) -> bool:
    if position >= len(words):
        return False
    word, before = words[position], words[position - 1]
    after = words[position + 1] if position + 1 < len(words) else ""
    if word in AUXILIARIES:
        return True
    base = BASE_OF_THIRD_PERSON.get(word)
    shown = relative or after in _AFTER_VERB or not after or after[:1].isdigit() or bool(_SHOWS_A_VERB.fullmatch(after))
    if base is not None:
        return before not in _DETERMINERS - {"one"} and (base in CLEAR_IN_THIRD_PERSON or shown)
    if before in _ADVERBS and position > 1:
        before = words[position - 2]
    so_far = " ".join(words[:position])
    plural = (
        relative or is_plural(before) or (is_plural(so_far) and before not in _DETERMINERS | _LEADS | {"and", "of"})
    )
    return plural and (word in CLEAR_BASES or (word in AMBIGUOUS_BASES and shown))


def _with_auxiliary(lead: str, subject: str, words: list[str], position: int, adverbs: list[str]) -> Clause:
    word, rest = words[position], words[position + 1 :]
    while rest and rest[0] in _CONNECTIVES:
        rest = rest[1:]
    if word == "cannot":
        return Clause(lead, subject, "can", " ".join([*adverbs, "not", *rest]))
    if word in ("has", "have", "had") and not _is_perfect(rest):
        auxiliary = {"has": "does", "have": "do", "had": "did"}[word]
        return Clause(lead, subject, auxiliary, " ".join([*adverbs, "have", *rest]), "have")
    if word in AUXILIARIES and not (word in ("do", "does") and rest[:1] != ["not"]):
        return Clause(lead, subject, word, " ".join([*adverbs, *rest]))
    base = BASE_OF_THIRD_PERSON.get(word)
    return Clause(
        lead, subject, "does" if base else "do", " ".join([*adverbs, base or word, *rest]), base or word
    )  # fmt: skip


def _is_perfect(rest: list[str]) -> bool:
    words = [word for word in rest if word not in _ADVERBS | {"not"}]
    return bool(words) and (words[0].endswith("ed") or words[0] in ("been", "become", "seen", "shown", "grown", "made"))


def _coordinates_a_verb(predicate: str, singular: bool) -> bool:
    """Whether a second finite verb follows (``reads the log and writes``): it would not survive inversion."""
    seconds = re.findall(r"(?:,| and| or| but) (?:then |also |therefore )?([a-z]+)(?! of| and|,|$)\b", predicate)
    if re.search(r" (?:and|but) (?:[^ ,]+ ){1,6}(?:is|are|was|were|can|cannot|must|may|should|does|do) ", predicate):
        return True
    return singular and any(word in AUXILIARIES or word in BASE_OF_THIRD_PERSON for word in seconds)
