"""What a sentence says, in words that can be compared with another's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qa_core.terms import NUMBER_WORDS, is_number, is_technical, normalise, token_matches

_SHORTEST, _LONGEST = 5, 60
"""Tokens; longer ones are lists and tables."""
_NEGATIONS = {"not", "no", "never", "cannot", "neither", "nor", "without", "fail", "fails", "failed", "lack", "lacks"}
_OWN = {"we", "our", "ours", "us", "i", "my"}
"""Who tells of an experiment of their own does not contradict another's."""
_OPEN = {"whether", "if", "would", "could", "might", "suppose", "assume", "unless"}
"""What is asked, supposed or possible is not claimed."""
_SCALES: tuple[tuple[set[str], set[str]], ...] = (
    ({"increase", "raise", "higher", "more", "greater", "larger", "grow", "elevate"},
     {"decrease", "reduce", "lower", "less", "fewer", "smaller", "shrink"}),
    ({"faster", "sooner", "earlier", "accelerate"}, {"slower", "later", "slow", "delay"}),
    ({"better", "improve", "outperform"}, {"worse", "degrade", "worsen", "hurt", "impair"}),
    ({"promote", "activate", "enable"}, {"inhibit", "suppress", "prevent"}),
    ({"stronger"}, {"weaker"}), ({"longer"}, {"shorter"}), ({"able"}, {"unable"}), ({"stable"}, {"unstable"}),
    ({"safe"}, {"unsafe"}), ({"possible"}, {"impossible"}), ({"sufficient"}, {"insufficient"}),
    ({"necessary"}, {"unnecessary"}), ({"always"}, {"never"}), ({"positive"}, {"negative"}),
)  # fmt: skip
"""Both ends of what can be said of a thing, in one form of each word."""
_YEAR = re.compile(r"(?:19|20)\d\d")
_PLACE = re.compile(
    r"\b(?:fig|figure|tab|table|eq|equation|sec|section|chapter|step|appendix|algorithm|lines?|version|page)s?\.?\s*\(?$",
    re.IGNORECASE,
)
"""Before a number that names a place in a paper and counts nothing."""
_PERCENT = re.compile(r"\s?(?:\\?%|percent\b)")
_JOINED = re.compile(r"[\s-]{1,3}")
"""Between a number and what it counts; a full stop or a bracket ends the number of a list or of a reference."""
_MARKUP = re.compile(r"://|[|`@{}\\]|</?\w+[\s/>]|\s=\s|\w+: \S+\s+\w+: |\A\W*\[")
"""Of code, formulas, tables and references, which are no sentences."""
_FILLER = {
    "a", "an", "the", "of", "in", "on", "at", "to", "for", "from", "by", "with", "and", "or", "but", "as", "is", "are",
    "was", "were", "be", "been", "being", "it", "its", "this", "that", "these", "those", "than", "then", "so", "such",
    "can", "may", "will", "should", "has", "have", "had", "do", "does", "did", "which", "who", "whose", "also", "most",
    "very", "into", "over", "per", "each", "all", "any", "some", "other", "there", "here", "when", "where", "while",
    "both", "only", "just",
}  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """A sentence taken apart."""

    text: str
    words: frozenset[str]
    """What it is about, in one form each: without numbers, negations, directions and words that mean little."""
    names: frozenset[str]
    """Of those, names and technical terms."""
    amounts: Mapping[str, Mapping[str, str]]
    """By unit, ``%`` or the word that is counted: numbers, and how each is written with it."""
    directions: Mapping[int, Mapping[int, str]]
    """By scale, the ends of it that are named, and the words for them."""
    negations: tuple[str, ...]
    own: bool
    """Whether the authors speak of themselves."""


def read_claim(sentence: str) -> Claim | None:
    """None for what claims nothing: a question, a supposition, a few words, a list."""
    if _MARKUP.search(sentence):
        return None
    tokens = list(token_matches(sentence))
    plain = [normalise(token[0]) for token in tokens]
    if not _SHORTEST <= len(tokens) <= _LONGEST or sentence.rstrip().endswith("?") or not _OPEN.isdisjoint(plain):
        return None
    words, names, negations = set(), set(), []
    amounts: dict[str, dict[str, str]] = {}
    directions: dict[int, dict[int, str]] = {}
    for place, (token, word) in enumerate(zip(tokens, plain, strict=True)):
        if _negates(word, plain[place + 1 : place + 2]):
            negations.append(token[0])
        if (stem := _stem(word)) in _DIRECTIONS:
            scale, end = _DIRECTIONS[stem]
            directions.setdefault(scale, {})[end] = token[0]
        elif is_number(token[0]) or word in NUMBER_WORDS:
            unit, written = _counted(sentence, tokens, place)
            if unit:
                amounts.setdefault(unit, {})[str(NUMBER_WORDS.get(word, word))] = written
        elif word not in _FILLER and word not in _NEGATIONS:
            words.add(stem)
            if is_technical(token[0]) or (place and token[0][0].isupper()):
                names.add(stem)
    own = not _OWN.isdisjoint(plain)
    return Claim(sentence, frozenset(words), frozenset(names), amounts, directions, tuple(negations), own)


def _negates(word: str, following: Sequence[str]) -> bool:
    """ "Not only" adds, and denies nothing."""
    return (word in _NEGATIONS or word.endswith("n't")) and not (word == "not" and following in (["only"], ["just"]))


def _counted(sentence: str, tokens: Sequence[re.Match[str]], place: int) -> tuple[str, str]:
    """The unit of a number, and both as they are written; empty for one that counts nothing."""
    start, end = tokens[place].span()
    if _YEAR.fullmatch(tokens[place][0]) or _PLACE.search(sentence[:start]):
        return "", ""
    if percent := _PERCENT.match(sentence, end):
        return "%", sentence[start : percent.end()]
    for later in tokens[place + 1 : place + 3]:
        word = normalise(later[0])
        if not _JOINED.fullmatch(sentence, end, later.start()):
            break
        if word not in _FILLER and not is_number(later[0]):
            return _stem(word), sentence[start : later.end()]
        end = later.end()
    return "", ""


def _stem(word: str) -> str:
    """``servers``, ``server`` and ``served`` are one word."""
    for ending in ("ing", "ed", "es", "s", "ly", "e"):
        if word.endswith(ending) and len(word) >= len(ending) + 3 and not word.endswith("ss"):
            return word.removesuffix(ending)
    return word


_DIRECTIONS = {
    _stem(word): (scale, end) for scale, ends in enumerate(_SCALES) for end, words in enumerate(ends) for word in words
}
