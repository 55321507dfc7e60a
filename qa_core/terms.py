"""What counts as a word, a number and a technical term, for ranking passages and for judging answers."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
