"""LaTeX source to tokens with their places, and which token closes which.

Everything is found in one pass: no token is looked at again for what follows it, however it is nested.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

VERBATIM = (
    "verbatim",
    "Verbatim",
    "BVerbatim",
    "lstlisting",
    "minted",
    "alltt",
    "comment",
    "filecontents",
    "tikzpicture",
)
"""Environments in which a backslash is no command, or whose content is no text."""

_TOKEN = re.compile(
    r"""
      (?P<comment>%[^\n]*+(?:\n[ \t]*+(?=\S))?)
    | (?P<par>\n[ \t]*+\n\s*+)
    | (?P<verb>\\(?:verb\*?|lstinline(?:\[[^\]\n]{0,200}\])?)(?P<mark>[^\sA-Za-z*\[{])[^\n]{0,500}?(?P=mark)
              |\\lstinline(?:\[[^\]\n]{0,200}\])?\{[^{}\n]{0,500}\}
              |\\mintinline(?:\[[^\]\n]{0,200}\])?\{[^{}\n]{0,40}\}(?:\{[^{}\n]{0,500}\}|(?P<mint>[^\s\w{])[^\n]{0,500}?(?P=mint)))
    | (?P<begin>\\begin[ \t]*+\{(?P<opened>[^{}\\\n]{1,60})\})
    | (?P<end>\\end[ \t]*+\{(?P<closed>[^{}\\\n]{1,60})\})
    | (?P<break>\\\\\*?(?:\[-?[\d.]+[ ]?[a-z]{2}\])?)
    | (?P<math>\\[()\[\]])
    | (?P<word>\\[A-Za-z@]++\*?)
    | (?P<symbol>\\.)
    | (?P<dollar>\$\$?)
    | (?P<group>[{}\[\]])
    | (?P<special>[&~])
    | (?P<text>[^\\%${}\[\]&~\n]++|\n|\\)
    """,
    re.VERBOSE | re.DOTALL,
)
# Shorthands such as \be for \begin{equation}.
_ALIAS = re.compile(
    r"\\(?:newcommand|renewcommand|providecommand|def)\*?\s*+\{?(\\[A-Za-z]++)\}?\s*+\{\s*+\\(begin|end)\{([A-Za-z]++\*?)\}\s*+\}"
)
_PAIRS = {"}": "{", r"\)": r"\(", r"\]": r"\["}


class Token(NamedTuple):
    kind: str
    """"par", "word", "text" and so on, as in the pattern; "verbatim" for a whole environment of that sort."""
    text: str
    start: int
    end: int
    name: str = ""
    """Of an environment, without a star."""


class Tokens:
    """The tokens of a source; ``close[i]`` is the partner of an opening token, or -1."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.all = list(_tokens(source))
        self.close = _partners(self.all)

    def text(self, i: int) -> str:
        return self.all[i].text if i < len(self.all) else ""

    def skip_space(self, i: int) -> int:
        while i < len(self.all) and (self.all[i].kind == "comment" or not self.all[i].text.strip()):
            if self.all[i].kind == "par":
                break
            i += 1
        return i

    def group(self, i: int, opening: str = "{") -> tuple[int, int] | None:
        """First token within the group that begins at ``i``, after white space, and its closing token."""
        i = self.skip_space(i)
        if i < len(self.all) and self.all[i].text == opening and self.close[i] > 0:
            return i + 1, self.close[i]
        return None

    def slice(self, first: int, stop: int) -> str:
        """The source between two tokens, without comments."""
        return "".join(token.text for token in self.all[first:stop] if token.kind != "comment")


def _tokens(source: str) -> Iterator[Token]:
    aliases = {command: (kind, name) for command, kind, name in _ALIAS.findall(source)}
    missing: set[str] = set()
    position = 0
    while match := _TOKEN.match(source, position):
        kind, start, position = match.lastgroup or "", match.start(), match.end()
        name = match["opened"] or match["closed"] or ""
        if kind == "word" and match[0] in aliases and not source.startswith("}", position):
            kind, name = aliases[match[0]]
        plain = name.rstrip("*")
        if kind == "begin" and plain in VERBATIM and name not in missing:
            closing = rf"\end{{{name}}}"
            end = source.find(closing, position)
            if end >= 0:
                position = end + len(closing)
                yield Token("verbatim", source[start:position], start, position, plain)
                continue
            missing.add(name)
        yield Token(kind, source[start:position], start, position, plain)


def _partners(tokens: list[Token]) -> list[int]:
    close = [-1] * len(tokens)
    stack: list[int] = []
    brackets: list[tuple[int, int]] = []
    """Open square brackets with the height of the stack; a half-open interval never closes its own."""
    environments: Counter[str] = Counter()
    for i, token in enumerate(tokens):
        kind, text = token.kind, token.text
        if kind == "begin":
            environments[token.name] += 1
            stack.append(i)
        elif kind == "end":
            _end_environment(i, tokens, stack, close, environments)
        elif text == "[":
            brackets.append((i, len(stack)))
        elif text == "]":
            while brackets and brackets[-1][1] > len(stack):
                brackets.pop()
            if brackets and brackets[-1][1] == len(stack):
                close[brackets.pop()[0]] = i
        elif text in ("{", r"\(", r"\[") or (kind == "dollar" and (not stack or tokens[stack[-1]].text != text)):
            stack.append(i)
        elif kind in ("group", "math", "dollar"):
            _close(_PAIRS.get(text, text), i, tokens, stack, close)
        elif kind == "par":
            while stack and tokens[stack[-1]].kind in ("dollar", "math"):
                stack.pop()
    return close


def _end_environment(
    i: int, tokens: list[Token], stack: list[int], close: list[int], environments: Counter[str]
) -> None:
    """Ends the innermost environment of that name, and whatever is still open within it."""
    while environments[tokens[i].name]:
        opened = stack.pop()
        if tokens[opened].kind == "begin":
            close[opened] = i
            environments[tokens[opened].name] -= 1
            if tokens[opened].name == tokens[i].name:
                return


def _close(opening: str, i: int, tokens: list[Token], stack: list[int], close: list[int]) -> None:
    """A closing brace ends whatever is open within it; any other mark only what was opened last."""
    while stack and opening == "{" and tokens[stack[-1]].kind in ("dollar", "math"):
        stack.pop()
    if stack and tokens[stack[-1]].text == opening:
        close[stack.pop()] = i
