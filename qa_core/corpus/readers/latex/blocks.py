"""The body of a LaTeX paper to markdown blocks."""

from __future__ import annotations

from qa_core.corpus.readers.latex.characters import inline_code, typeset
from qa_core.corpus.readers.latex.commands import Commands
from qa_core.corpus.readers.latex.environments import Environments
from qa_core.corpus.readers.latex.macros import Shorthands
from qa_core.corpus.readers.latex.tokens import Tokens

_STATEMENTS = {
    "theorem", "lemma", "corollary", "proposition", "definition", "remark", "example", "proof", "assumption", "claim",
    "conjecture", "observation", "fact", "hypothesis", "property", "problem", "note",
}  # fmt: skip


class LatexBlocks(Environments, Commands):
    def __init__(self, tokens: Tokens, shorthands: Shorthands, statements: dict[str, str]) -> None:
        super().__init__(tokens, shorthands, {name: name.capitalize() for name in _STATEMENTS} | statements)
        self._rendered: dict[str, str] = {}
        """Bodies of shorthands, in which other shorthands are written out, to their words."""

    def step(self, i: int) -> int:
        """Renders what begins at token ``i``; returns the token after it."""
        token = self.tokens.all[i]
        match token.kind:
            case "text":
                self.add(typeset(token.text), token)
            case "par":
                self.end_paragraph()
            case "special" | "break":
                self.add(" ", token)
            case "dollar" | "math":
                return self.formula(i)
            case "begin":
                return self.begin(i)
            case "end":
                self.end(token.name)
            case "verb":
                self.add(inline_code(token.text), token)
            case "verbatim":
                self.verbatim(token)
            case "word":
                return self.command(i)
            case "symbol":
                return self.symbol(i)
            case "group" if token.text == "}" and self.tokens.text(i + 1) == "{":
                self.line.space()  # two arguments of an unknown command are two words
            case "group" if token.text in "[]":
                self.add(token.text, token)
        return i + 1

    def shorthand(self, i: int) -> int:
        token = self.tokens.all[i]
        body = self.shorthands.body(token.text)
        if body not in self._rendered:
            inner = LatexBlocks(Tokens(body), Shorthands(Tokens("")), {})
            self._rendered[body] = inner.words(0, len(inner.tokens.all))
        self.add(self._rendered[body], token)
        return i + 1
