"""Noun phrases that two sentences share, told by word lists alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from qa_core.dataset.template.lexicon import (
    ADVERBS,
    AUXILIARIES,
    BASE_OF_THIRD_PERSON,
    CLEAR_VERBS,
    FUNCTION_WORDS,
    GENERIC_NOUNS,
    PLAIN_ADJECTIVES,
    UNITS,
    VERBS_THAT_ARE_NOUNS,
)

_WORD = re.compile(r"[A-Z][\w'-]*(?: \d[\w.]*\b)?|[A-Za-z][\w'-]*\w|[A-Za-z]")
"""A word, or a name with its number: *Llama 2*."""
_LONGEST = 4  # words
_NO_PART_OF_A_NOUN = (
    ADVERBS
    | AUXILIARIES
    | CLEAR_VERBS
    | UNITS.keys()
    | frozenset(word for word, base in BASE_OF_THIRD_PERSON.items() if base in CLEAR_VERBS)
)
_ACTION = re.compile(r"^[^ ]+ [a-z]+ ([a-z]+ing)\b")
"""The gerund after the verb of a recommendation."""
_NO_ACTION = frozenset(("keeping", "planning", "making", "having", "using", "taking", "giving", "getting"))
_ARTICLES = ("a", "an", "each", "every", "one", "any")
_PARTICIPLE = re.compile(r"[a-z]+ed|given|known|drawn|chosen")
_SPECIFIC = re.compile(r".*[A-Z\d].*|[a-z]+-[a-z-]+|[a-z]{3,}(?:ing|ation|ition|ption|ement|ness|ity)s?")
_NO_NOUN = re.compile(r".*(?:ly|ed|able|ible|ous|ive|ical)")


@dataclass(frozen=True)
class Phrase:
    words: tuple[str, ...]
    stems: tuple[str, ...]
    counted: bool
    """Whether an article stands before it: one of several such things."""

    @property
    def telling(self) -> bool:
        """Whether it says what it is about: some word of it is neither everyday nor a participle."""
        return any(
            stem not in _GENERIC and not _PARTICIPLE.fullmatch(word.lower())
            for word, stem in zip(self.words, self.stems, strict=True)
        )

    @property
    def specific(self) -> bool:
        """Whether it is the name of one thing: several words, or one that no other field uses."""
        return self.telling and (len(self.words) > 1 or _SPECIFIC.fullmatch(self.words[0]) is not None)

    @property
    def general(self) -> str:
        """As one speaks of such things in general: *bucket sizes*, *hedging*, *flat search*."""
        *others, last = self.words
        plain = last.endswith(("s", "ing")) or not self.counted
        return " ".join([*others, last if plain or not last.islower() else _plural(last)])


def common_action(one: str, other: str) -> Phrase | None:
    """What both sentences advise to do: *hedging after ...* and *should hedge a request*."""
    for first, second in ((one, other), (other, one)):
        for word in _ACTION.findall(first):
            root = re.sub(r"e$|ing$", "", word)
            if len(root) > 3 and word not in _NO_ACTION and re.search(rf"\b{root}(?:e|es|s|ing)\b", second):
                return Phrase((word,), (stem(word),), counted=False)
    return None


def common_phrase(one: str, other: str, *, telling: bool = True) -> Phrase | None:
    """The longest noun phrase that both sentences have, the first one where several are as long.

    Args:
        telling: pass over phrases of everyday words, such as *stored vectors*.
    """
    theirs = {phrase.stems: phrase for phrase in phrases(other)}
    shared = [
        _in_general(phrase, theirs[phrase.stems])
        for phrase in phrases(one)
        if phrase.stems in theirs and (phrase.telling or not telling)
    ]
    return max(shared, key=lambda phrase: len(phrase.stems), default=None)


def _in_general(one: Phrase, other: Phrase) -> Phrase:
    """The same phrase in two sentences: its plural where either has it."""
    words = one.words if one.words[-1].endswith("s") else other.words
    return Phrase(words, one.stems, one.counted or other.counted)


def phrases(sentence: str) -> list[Phrase]:
    """Runs of one to four content words up to a noun that no further noun follows, in order."""
    found = []
    for before, run in _runs(sentence):
        for size in range(1, min(_LONGEST, len(run)) + 1):
            words = run[-size:]
            if _is_noun_phrase(words):
                counted = size == len(run) and before in _ARTICLES
                found.append(Phrase(tuple(words), tuple(stem(word) for word in words), counted))
    return found


@lru_cache(maxsize=4096)
def telling_words(sentence: str) -> frozenset[str]:
    """Stems of the words that tell what a sentence is about: no everyday nouns, no verbs, no adjectives."""
    words = {word: stem(word) for _, run in _runs(sentence) for word in run if len(word) > 3}
    return frozenset(
        root for word, root in words.items() if not {root, word.lower()} & _SAYS_LITTLE and not _NO_NOUN.fullmatch(word)
    )


def general(phrase: str) -> str:
    """A noun phrase without its article, in the plural where it had one: *a tied request* as *tied requests*."""
    article, *words = phrase.split(" ")
    counted = article.lower() in _ARTICLES
    kept = words if counted or article.lower() == "the" else [article, *words]
    return Phrase(tuple(kept), (), counted).general


def stem_words(phrase: str) -> tuple[str, ...]:
    """Stems of a noun phrase without its article; empty for an empty phrase."""
    words = _WORD.findall(phrase)
    return tuple(stem(word) for word in words if word.lower() not in ("a", "an", "the"))


def stem(word: str) -> str:
    """The singular in lower case."""
    lower = word.lower()
    if lower.endswith("ies") and len(lower) > 4:
        return lower[:-3] + "y"
    if lower.endswith(("ches", "shes", "sses", "xes")):
        lower = lower[:-2]
    elif re.search(r"[a-z]{2}(?<![sui])s$", lower):
        lower = lower[:-1]
    return lower


_GENERIC = frozenset(stem(noun) for noun in GENERIC_NOUNS)
_SAYS_LITTLE = _GENERIC | PLAIN_ADJECTIVES | ADVERBS | CLEAR_VERBS | VERBS_THAT_ARE_NOUNS


def _runs(sentence: str) -> list[tuple[str, list[str]]]:
    """Runs of content words, each with the word before it."""
    runs: list[tuple[str, list[str]]] = [("", [])]
    for piece in re.findall(rf"{_WORD.pattern}|[^\s\w]|\d\S*", re.sub(r"\$[^$]*\$", " ; ", sentence)):
        if not _WORD.fullmatch(piece) or _breaks(piece):
            runs.append((piece.lower(), []))
        else:
            runs[-1][1].append(piece)
    return [run for run in runs if run[1]]


def _breaks(word: str) -> bool:
    return word.lower() in FUNCTION_WORDS or word in _NO_PART_OF_A_NOUN


def _is_noun_phrase(words: list[str]) -> bool:
    first, last = words[0].lower(), words[-1].lower()
    if first in PLAIN_ADJECTIVES or last in PLAIN_ADJECTIVES:
        return False
    return not _NO_NOUN.fullmatch(last)


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")
