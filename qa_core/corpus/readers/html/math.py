"""Formulas in HTML: LaTeX within text, in attributes and in the annotations of MathML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_OPENER = re.compile(r"\\\(|\\\[|\$\$|\\begin\{((?:equation|align|gather|multline|eqnarray|displaymath)\*?)\}")
_CLOSERS = {r"\(": r"\)", r"\[": r"\]", "$$": "$$"}
_STYLE = re.compile(r"^\\(?:display|text)style(?![A-Za-z])\s*")


class Piece(NamedTuple):
    """``text[start:end]`` and the LaTeX in it, or None where it is words."""

    start: int
    end: int
    latex: str | None = None
    display: bool = False


def split_text(text: str) -> Iterator[Piece]:
    """Words and formulas between the marks that MathJax looks for (a lone ``$`` is money to it)."""
    position = 0
    missing: set[str] = set()
    for opener in _OPENER.finditer(text):
        closer = _CLOSERS.get(opener[0], rf"\end{{{opener[1]}}}")
        if opener.start() < position or closer in missing:
            continue
        close = text.find(closer, opener.end())
        if close < 0:
            missing.add(closer)
            continue
        if opener.start() > position:
            yield Piece(position, opener.start())
        position = close + len(closer)
        whole = opener[1] is not None
        body = text[opener.start() : position] if whole else text[opener.end() : close]
        yield Piece(opener.start(), position, body, opener[0] != r"\(")
    if position < len(text):
        yield Piece(position, len(text))


def inline_math(latex: str) -> str:
    return f"${' '.join(latex.split())}$" if latex.strip() else ""


def plain_style(latex: str) -> str:
    """Without the size that a converter set the whole formula in."""
    body = latex.strip()
    if body.startswith(r"{\displaystyle") and body.endswith("}"):
        body = body[1:-1]
    return _STYLE.sub("", body)
