"""What two sentences of different papers have in common, and how close that is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from qa_core.dataset.template.clauses import is_plural
from qa_core.dataset.template.definition import definition_parts
from qa_core.dataset.template.lexicon import (
    ADVISING_VERBS,
    ANNOUNCED,
    AUXILIARIES,
    BASE_OF_THIRD_PERSON,
    FUNCTION_WORDS,
    NUMBER_WORDS,
)
from qa_core.dataset.template.patterns import NUMBER
from qa_core.dataset.template.phrases import Phrase, common_action, common_phrase, general, stem_words, telling_words
from qa_core.dataset.template.sentences import PAPER, Statement

_NUMBER = re.compile(r"(?<![\w.-])\d")
_ADVISES = re.compile(rf"{PAPER} (?:{'|'.join(verb + 's' for verb in sorted(ADVISING_VERBS))}) |according to ")
_VALUED = re.compile(rf"\b((?:[a-z][a-z-]+ )?[a-z][a-z-]+) of {NUMBER}")
"""*a rank of 16*, *a bucket size of 40 MB*"""
_TELLING_MEASURES = frozenset(
    ("dropout", "overlap", "rank", "recall", "temperature", "threshold", "timeout", "utilisation")
)
_KIND_ENDS = re.compile(r" (?:that|which|who|whose|where|in|of|for|with|to|on|by|from|under)\b.*|,.*")
_SHORTEST = 45  # characters; fewer say little to compare
_THIN = re.compile(rf"(?:{'|'.join(NUMBER_WORDS)}) (?:[a-z]+ )?(?:{'|'.join(ANNOUNCED)})$|.* (?:compromise|answer)$")


@dataclass(frozen=True)
class Side:
    """A statement of one of the papers, seen from what it is about."""

    statement: Statement
    subject: str
    """Empty where the sentence's structure is not certain."""
    title: str
    """Of the paper."""

    @property
    def text(self) -> str:
        return self.statement.text

    @property
    def advises(self) -> bool:
        return _ADVISES.match(self.text) is not None

    @property
    def counts(self) -> bool:
        return _NUMBER.search(self.text) is not None

    def is_about(self, phrase: Phrase) -> bool:
        """Whether ``phrase`` is in the subject, or in what the paper advises."""
        stems, size = stem_words(self.subject), len(phrase.stems)
        return self.advises or any(stems[i : i + size] == phrase.stems for i in range(len(stems) - size + 1))


@dataclass(frozen=True)
class Match:
    """Two statements and what they are compared on."""

    score: tuple[int, int, int]
    """How close the relation is; how many of the two give figures; how much they share."""
    frame: str
    """A name in ``FRAMES["comparative"]``; *both* where each statement has to be asked about by itself."""
    matter: str
    one: Statement
    other: Statement


def is_worth_comparing(text: str) -> bool:
    return len(text) >= _SHORTEST and not _THIN.search(text)


def is_clear(side: Side) -> bool:
    """Whether a statement is understood away from its passage: no list item without a verb, nothing of *the marker*."""
    if side.subject:
        return not re.fullmatch(r"the [a-z-]+", side.subject)
    words = re.split(r", | that | which ", side.text)[0].split(" ")
    return any(word in AUXILIARIES or word in BASE_OF_THIRD_PERSON or word.endswith("ed") for word in words[1:])


def match(one: Side, other: Side) -> Match | None:
    """The closest relation of two statements; None where they share no more than a word.

    From close to loose: both define the same term, both advise on something, both give a value of the same measure,
    both are about the same thing, they define two things of one kind, they speak about the same thing.
    """
    figures = one.counts + other.counts
    subjects = stem_words(one.subject), stem_words(other.subject)
    same_subject = subjects[0] == subjects[1] != () and PAPER not in one.subject
    defined = definition_parts(one.text), definition_parts(other.text)

    def found(closeness: int, frame: str, matter: str, size: int = 1) -> Match:
        return Match((closeness, figures, size), frame, matter, one.statement, other.statement)

    if same_subject and defined[0] and defined[1]:
        return found(7, "definitions", general(one.subject))
    phrase = common_phrase(one.text, other.text)
    if one.advises and other.advises:
        action = common_action(one.text, other.text) or phrase
        return found(6, "recommendations", action.general, len(action.stems)) if action else None
    if measure := _common_measure(one.text, other.text):
        return found(5, "figures", f"the {measure}")
    if same_subject:
        return found(4, "statements", general(one.subject))
    if defined[0] and defined[1] and _are_of_one_kind(defined[0], defined[1]):
        return found(3, "kinds", _set_apart(defined[0][0], defined[1][0]))
    if loose := _loosely(one, other, phrase or common_phrase(one.subject, other.subject, telling=False), figures):
        return found(*loose)
    words = telling_words(one.text) & telling_words(other.text)
    return found(0, "both", " ".join(sorted(words)), len(words)) if words else None


def _loosely(one: Side, other: Side, phrase: Phrase | None, figures: int) -> tuple[int, str, str, int] | None:
    """Closeness, frame, matter and size where statements share a phrase that at least one of them is about."""
    if phrase is None:
        return None
    central, size = one.is_about(phrase) + other.is_about(phrase), len(phrase.stems)
    if central == 2 and (size > 1 or phrase.telling):
        return 2, "figures" if figures == 2 else "statements", phrase.general, size
    close = phrase.specific or figures == 2 or _is_topic(phrase, one.title) or _is_topic(phrase, other.title)
    return (1, "both", phrase.general, size) if central and phrase.telling and close else None


def _is_topic(phrase: Phrase, title: str) -> bool:
    """Whether the paper's title has the phrase's noun: *checkpoints* in *Checkpointing in Large-Scale Training*."""
    return any(word.lower().startswith(phrase.stems[-1]) for word in title.split(" "))


def _are_of_one_kind(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
    """Whether two defined things are both, say, *a collective operation*, or share their noun and their kind."""
    shared = common_phrase(*(_KIND_ENDS.sub("", meaning) for _, _, meaning in (one, other)), telling=False)
    heads = [stem_words(term)[-1:] for term, _, _ in (one, other)]
    return shared is not None and (len(shared.stems) > 1 or heads[0] == heads[1])


def _set_apart(one: str, other: str) -> str:
    """*a reduce-scatter differ from an all-reduce*, with its auxiliary."""
    return f"{'do' if is_plural(one) else 'does'} {one} differ from {other}"


def _common_measure(one: str, other: str) -> str | None:
    """What both sentences give a value of: *bucket size*, *rank*."""
    first, second = (set(_VALUED.findall(text)) for text in (one, other))
    heads = {phrase.split(" ")[-1] for phrase in first} & {phrase.split(" ")[-1] for phrase in second}
    whole = {phrase for phrase in first & second if " " in phrase and phrase.split(" ")[0] not in FUNCTION_WORDS}
    return min(whole | (heads & _TELLING_MEASURES), key=lambda phrase: (-len(phrase), phrase), default=None)
