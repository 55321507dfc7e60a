"""Characters of LaTeX: accents, symbols, dashes and quotation marks, and the shorthands of a paper."""

from __future__ import annotations

from qa_core.corpus.readers.latex.macros import ACCENTS, SYMBOLS, accented
from qa_core.corpus.readers.latex.walk import Walk


class Characters(Walk):
    def after_letter(self, i: int) -> int:
        """The space in ``Stra\\ss e`` ends the command and is not printed."""
        if i < len(self.tokens.all) and self.tokens.all[i].kind == "text":
            self.line.add(typeset(self.tokens.all[i].text.lstrip(" ")), *self.place(self.tokens.all[i]))
            return i + 1
        return i

    def symbol(self, i: int) -> int:
        token = self.tokens.all[i]
        mark = token.text[1]
        if mark in ACCENTS:
            return self.accent(i, mark)
        if mark in "%&$#_{}":
            self.add(mark, token)
        elif mark in ",;: \n!>":
            self.add(" " if mark != "!" else "", token)
        return i + 1

    def accent(self, i: int, mark: str) -> int:
        start = self.tokens.all[i].start
        if group := self.tokens.group(i + 1):
            self.line.add(accented(mark, self.words(*group)), start, self.tokens.all[group[1]].end)
            return group[1] + 1
        if i + 1 == len(self.tokens.all):
            return i + 1
        following = self.tokens.all[i + 1]
        if following.kind == "text":
            self.line.add(typeset(accented(mark, following.text.lstrip())), start, self.place(following)[1])
            return i + 2
        if following.text in (r"\i", r"\j"):
            self.line.add(accented(mark, SYMBOLS[following.text[1:]]), start, following.end)
            return self.after_letter(i + 2)
        return i + 1


def typeset(text: str) -> str:
    """Dashes and quotation marks as they are printed."""
    if "-" in text:
        text = text.replace("---", "—").replace("--", "–")
    return text.replace("``", "“").replace("''", "”") if "`" in text or "'" in text else text


def inline_code(source: str) -> str:
    body = source[source.index(source[-1], 1) + 1 : -1] if source[-1] != "}" else source[source.rindex("{") + 1 : -1]
    return f"`{body}`" if body and "`" not in body else body
