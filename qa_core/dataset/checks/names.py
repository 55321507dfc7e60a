"""Names of methods, systems and symbols: each one in an answer has to stand in its evidence.

What is taken for a name: acronyms (GPU), words with an inner capital, a digit or an underscore (AllReduce, Q4_K_M), and
words with a capital inside a sentence. Spelling does not count: *k-quants*, *K quants* and *k_quants* are one name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from qa_core.terms import is_technical, token_matches

_SYMBOL = re.compile(
    r"(?<![\u0370-\u03ff\w])[\u0391-\u03a9\u03b1-\u03c9∇∂ℓ](?:_\w{1,3})?(?![\u0370-\u03ff\w])"
    r"|(?<![\w.'’/+-])[A-Za-z](?:_\w{1,3})?(?![\w'’/+-]|\.\w)"
)
_LETTER = re.compile(r"(?<![A-Za-z])([A-Za-z]|[A-Z]{2,3})(?![A-Za-z])|[\u0391-\u03a9\u03b1-\u03c9∇∂ℓ]")
"""In evidence also the letters of products, such as QK."""
_MEASURED = re.compile(r"(?<=\d)(?: ?-?[A-Za-zμ]+\b|[A-Za-zμ]+\b)")
_NO_SYMBOL = frozenset({"a", "A", "I"})
_SENTENCE_START = re.compile(r"(?:[.!?:;]\s+|^)[\"“'‘(\s]*$|[\"“‘]$")
_SEPARATORS = re.compile(r"[\s_./’'-]+")
_PARTS = re.compile(r"[-/]")
_POSSESSIVE = re.compile(r"['’]s?$")
_ABBREVIATIONS = frozenset({"e.g", "i.e", "a.k.a"})
_SHORT = 4
"""Shorter names are looked for as whole words: "GPU" may stand inside any longer one."""
_NOUN_SHARE = 0.2
"""A language that gives every noun a capital (German) has more capitals than this inside its sentences."""


def missing_symbol(answer: str, evidence: str) -> str | None:
    """The first formula symbol of ``answer`` that ``evidence`` does not have: a Greek letter or a lone letter."""
    indexed = {match[0] for match in _SYMBOL.finditer(evidence)}
    letters = {letter for match in _LETTER.finditer(evidence) for letter in match[0]}
    for match in _SYMBOL.finditer(_MEASURED.sub(" ", answer)):
        if match[0] not in _NO_SYMBOL and match[0] not in indexed and match[0] not in letters:
            return match[0]
    return None


def missing_name(answer: str, texts: Sequence[str], passage: str) -> str | None:
    """The first name of ``answer`` that stands in none of ``texts``.

    ``passage`` tells whether the language gives every noun a capital; then capitals alone make no name.
    """
    whole = " ".join(texts)
    words = {_key(part) for match in token_matches(whole) for part in (match[0], *_PARTS.split(match[0]))}
    squeezed = _key(whole)
    for name, parts in _names(answer, capitals=not _capitalises_nouns(passage)):
        if not (_is_known(name, words, squeezed) or all(_is_known(part, words, squeezed) for part in parts)):
            return name
    return None


def _names(text: str, *, capitals: bool) -> Iterator[tuple[str, list[str]]]:
    """Tokens that hold a name, with the parts of a compound that are names by themselves."""
    for match in token_matches(text):
        token = _POSSESSIVE.sub("", match[0])
        if token[0].isdigit() or token.lower() in _ABBREVIATIONS or _SYMBOL.fullmatch(token):
            continue
        inside = capitals and not _begins_sentence(text, match.start())
        parts = [
            part
            for number, part in enumerate(_PARTS.split(token))
            if part[:1].isalpha() and (is_technical(part) or (_is_capitalised(part) and (inside or number > 0)))
        ]
        if parts:
            yield token, parts


def _begins_sentence(text: str, position: int) -> bool:
    return _SENTENCE_START.search(text[max(0, position - 4) : position]) is not None if position >= 4 else True


def _is_capitalised(word: str) -> bool:
    return len(word) > 1 and word[0].isupper() and word[1:].islower()


def _capitalises_nouns(passage: str) -> bool:
    inside = [
        match[0]
        for match in token_matches(passage)
        if match[0].isalpha() and not _begins_sentence(passage, match.start())
    ]
    return sum(map(_is_capitalised, inside)) > _NOUN_SHARE * len(inside)


def _is_known(name: str, words: set[str], squeezed: str) -> bool:
    key = _key(name)
    forms = {key, key.removesuffix("s"), key + "s"}
    return not words.isdisjoint(forms) or (len(key) >= _SHORT and key in squeezed)


def _key(text: str) -> str:
    return _SEPARATORS.sub("", text.casefold())
