"""What counts as a word, a number and a technical term, for ranking passages and for judging answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

_TOKEN = re.compile(
    r"\\[A-Za-z]+"  # a LaTeX command
    r"|\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w])"  # 1,024  0.95  1e-4
    r"|\w+(?:[-_.'’/]\w+)*"  # words, k-quants, Q4_K_M, H100, read-only, TCP/IP, faiss.IndexFlat
)
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?")
NUMBER_WORDS = {
    word: number
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    )
} | {"twice": 2, "double": 2}
"""The numbers that prose writes as words."""

_STOP = re.compile(
    r"a|an|the|of|for|to|in|on|at|by|with|from|into|over|under|and|or|but|not|no|nor|as|than|that|this|these|those"
    r"|which|who|whom|whose|what|when|where|why|how|is|are|was|were|be|been|being|am|do|does|did|done|has|have|had"
    r"|can|could|may|might|must|shall|should|will|would|its?|they|their|them|there|here|then|so|such|only|also|very"
    r"|much|many|more|most|first|ever|term|paper|according|reported|given|value|named?|called|uses?|used|using|one"
)
"""Words that do not tell what a sentence is about, those included with which papers speak of papers."""
_PLAIN_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*|\d[\d.,]*\d|\d")

_INNER_CAPITAL = re.compile(r"[^\W\d_].*[A-Z]")


def tokenize(text: str) -> list[str]:
    """Words, numbers and LaTeX commands of ``text`` in order; punctuation is dropped, case is kept."""
    return _TOKEN.findall(text)


def token_matches(text: str) -> Iterator[re.Match[str]]:
    """The same tokens with their places."""
    return _TOKEN.finditer(text)


def is_number(token: str) -> bool:
    return _NUMBER.fullmatch(token) is not None


def is_technical(token: str) -> bool:
    """Numbers, LaTeX commands, acronyms (GPU), inner capitals (AllReduce), and words with a digit, ``_`` or ``.``."""
    if len(token) == 1:
        return token.isdigit()
    return (
        token.startswith("\\")
        or any(character.isdigit() or character in "_." for character in token)
        or _INNER_CAPITAL.match(token) is not None
    )


def normalise(token: str) -> str:
    """One spelling of a term: lower case, ``1,000`` as ``1000``, ``2.50`` as ``2.5``, ``k_quants`` as ``k-quants``."""
    if is_number(token):
        return f"{float(token.replace(',', '')):.12g}"
    return token.lower().replace("_", "-").replace("’", "'")


def technical_terms(text: str) -> set[str]:
    """The distinct technical terms and numbers of ``text``, normalised."""
    return {normalise(token) for token in tokenize(text) if is_technical(token)}


def normalised_tokens(text: str) -> set[str]:
    """Every distinct word, number and LaTeX command of ``text``, normalised."""
    return {normalise(token) for token in tokenize(text)}


@lru_cache(maxsize=16384)
def content_stems(text: str) -> frozenset[str]:
    """Content words without case and endings, so that *hashing* meets *hash* and *policies* meets *policy*."""
    words = (word.lower() for word in _PLAIN_WORD.findall(text))
    return frozenset(_stem(word) for word in words if not _STOP.fullmatch(word))


def _stem(word: str) -> str:
    for ending, stem in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""), ("e", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word.removesuffix(ending) + stem
    return word
