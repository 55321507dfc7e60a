"""A walk over the tokens of a LaTeX source, and where the words go that it finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from qa_core.corpus.readers.flow import Flow, Line
from qa_core.corpus.readers.latex.macros import Shorthands
from qa_core.corpus.readers.latex.tokens import Token, Tokens


class Walk(ABC):
    """``words`` renders a stretch to one line; everything else goes to the flow of blocks."""

    def __init__(self, tokens: Tokens, shorthands: Shorthands, statements: dict[str, str]) -> None:
        self.tokens = tokens
        self.shorthands = shorthands
        self.statements = statements
        """Environments that print a heading of their own, such as "Theorem"."""
        self.flow = Flow()
        self.captured: list[Line] = []
        self.floats: list[str] = []
        """What the captions of the open figures and tables begin with."""

    @abstractmethod
    def step(self, i: int) -> int:
        """Renders what begins at token ``i``; returns the token after it."""

    @property
    def line(self) -> Line:
        return self.captured[-1] if self.captured else self.flow.line

    def run(self, first: int, stop: int) -> None:
        while first < stop:
            first = self.step(first)

    def words(self, first: int, stop: int) -> str:
        with self.capture() as line:
            self.run(first, stop)
        return line.text()

    @contextmanager
    def capture(self) -> Iterator[Line]:
        self.captured.append(Line())
        try:
            yield self.captured[-1]
        finally:
            self.captured.pop()

    def add(self, words: str, token: Token) -> None:
        self.line.add(words, *self.place(token))

    def place(self, token: Token) -> tuple[int, int]:
        return token.end - len(token.text.lstrip()), token.start + len(token.text.rstrip())

    def end_paragraph(self) -> None:
        if self.captured:
            self.line.space()
        else:
            self.flow.flush()

    def argument(self, i: int, *, skip: bool = False) -> tuple[int, int] | None:
        """The next group in braces, after optional arguments and, with ``skip``, after one more group."""
        while optional := self.tokens.group(i, "["):
            i = optional[1] + 1
        group = self.tokens.group(i)
        return self.argument(group[1] + 1) if group and skip else group

    def skip_arguments(self, i: int, count: int) -> int:
        while (optional := self.tokens.group(i, "[")) and self.tokens.all[i].kind != "par":
            i = optional[1] + 1
        for _ in range(count):
            if group := self.argument(i):
                i = group[1] + 1
            elif i < len(self.tokens.all) and self.tokens.all[i].kind == "word":
                i += 1
        return i
