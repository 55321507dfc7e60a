"""Commands of LaTeX: sections, captions, notes, citations, and characters."""

from __future__ import annotations

import re
from abc import abstractmethod

from qa_core.corpus.readers.latex.environments import HEADED
from qa_core.corpus.readers.latex.macros import ACCENTS, DROPPED, SYMBOLS
from qa_core.corpus.readers.latex.marks import CITATION, REFERENCE, Marks

_SECTIONS = {
    "part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5, "subparagraph": 6,
}  # fmt: skip
_ALGORITHM_LINE = re.compile(
    r"\\(?:State|Statex|For|ForAll|While|If|ElsIf|Else|Repeat|Until|Return|Require|Ensure|Procedure|Function)"
)
_SPACING = re.compile(r"\s*=?-?[\d.]+\s?[a-z]{2}(?:\s+(?:plus|minus)\s+[\d.]+\s?[a-z]{2,3})*")
_NOTE_MARK = re.compile(r"\[\^\d+\]")
_CAPTION_START = re.compile(r"(?:fig(?:ure|\.)|table|algorithm|listing)\s*\d", re.IGNORECASE)
_PRINTED_OPTIONS = {"twocolumn", "subfloat", "subfigure"}
_MAX_OPTION = 300
"""Characters; what stands in longer brackets is text, whatever the command."""


class Commands(Marks):
    @abstractmethod
    def shorthand(self, i: int) -> int:
        """Renders a command that the paper defines."""

    def command(self, i: int) -> int:
        token = self.tokens.all[i]
        name = token.text[1:].rstrip("*")
        if token.text in self.shorthands.bodies:
            return self.shorthand(i)
        if name in _SECTIONS and (title := self.argument(i + 1)):
            return self._heading(_SECTIONS[name], i, title)
        if name in ("abstract", "acknowledgments", "acknowledgements") and (body := self.tokens.group(i + 1)):
            return self._headed_argument(name, i, body)
        if name in ("caption", "captionof", "subcaption") and (body := self.argument(i + 1, skip=name == "captionof")):
            return self._caption(i, body)
        if name in ("footnote", "footnotetext", "thanks") and (body := self.argument(i + 1)):
            return self.footnote(i, body)
        if name == "item" or _ALGORITHM_LINE.fullmatch(token.text):
            return self._item(i)
        if name == "bibitem" and (key := self.argument(i + 1)):
            return self.bibitem(i, key)
        if (cited := CITATION.fullmatch(token.text)) and (keys := self.argument(i + 1)):
            return self.citation(i, keys)
        if cited or REFERENCE.fullmatch(token.text):
            return self.reference(i)
        if name in ("url", "path", "nolinkurl", "href") and (address := self.tokens.group(i + 1)):
            if name != "href":
                self.line.add(self.tokens.slice(*address), token.start, self.tokens.all[address[1]].end)
            return address[1] + 1
        return self._plain_command(i, name)

    def _plain_command(self, i: int, name: str) -> int:
        token = self.tokens.all[i]
        if name in ACCENTS and len(name) == 1 and self.tokens.group(i + 1):
            return self.accent(i, name)
        if name in SYMBOLS:
            self.add(SYMBOLS[name], token)
            return self.after_letter(i + 1) if SYMBOLS[name].isalpha() else i + 1
        if name in ("par", "newpage", "clearpage", "bigskip", "medskip", "smallskip", "maketitle", "centering"):
            self.end_paragraph()
            return i + 1
        if name in ("def", "let", "gdef", "edef"):
            return self._skip_definition(i + 1)
        if name in ("vskip", "hskip", "kern") and (spacing := _SPACING.match(self.tokens.text(i + 1))):
            after = self.tokens.all[i + 1]
            self.add(after.text[spacing.end() :], after)
            return i + 2
        if name in DROPPED:
            return self.skip_arguments(i + 1, DROPPED[name])
        optional = self.tokens.group(i + 1, "[") if self.tokens.text(i + 1) == "[" else None
        if optional is None:
            return i + 1
        if name in _PRINTED_OPTIONS or self.tokens.all[optional[1]].end - token.end > _MAX_OPTION:
            self.run(*optional)
        return optional[1] + 1

    def _heading(self, level: int, i: int, title: tuple[int, int]) -> int:
        words = without_marks(self.words(*title))
        if self.captured:
            self.line.add(words, self.tokens.all[i].start, self.tokens.all[title[1]].end)
        else:
            self.flow.settle()
            self.flow.writer.heading(level, words, self.tokens.all[i].start, self.tokens.all[title[1]].end)
            self.flow.settle()
        return title[1] + 1

    def _headed_argument(self, name: str, i: int, body: tuple[int, int]) -> int:
        self.flow.settle()
        self.flow.writer.heading(2, HEADED[name], self.tokens.all[i].start, self.tokens.all[i].end)
        return body[0]

    def _caption(self, i: int, body: tuple[int, int]) -> int:
        words = self.words(*body)
        if words and not _CAPTION_START.match(words):
            words = f"{self.floats[-1] if self.floats else 'Figure'}: {words}"
        start, end = self.tokens.all[i].start, self.tokens.all[body[1]].end
        if self.captured:
            self.line.add(f" {words} ", start, end)
        elif words:
            self.flow.settle()
            self.flow.writer.paragraph(words, start, end)
            self.flow.settle()
        return body[1] + 1

    def _item(self, i: int) -> int:
        token = self.tokens.all[i]
        self.end_paragraph()
        if not self.captured:
            self.flow.open_item()
        if token.text not in (r"\item", r"\State", r"\Statex"):
            self.add(f"{token.text[1:]} ", token)
        elif label := self.tokens.group(i + 1, "["):
            words = self.words(*label)
            self.line.add(f"{words} " if words.endswith((":", ".", ")")) else f"{words}: ", token.start, token.end)
            return label[1] + 1
        return i + 1

    def _skip_definition(self, i: int) -> int:
        """``\\def\\name#1{...}`` and ``\\let\\name=\\other``, up to the end of the line at the latest."""
        while i < len(self.tokens.all) and self.tokens.all[i].kind in ("word", "text", "symbol"):
            if "\n" in self.tokens.all[i].text:
                return i
            i += 1
        group = self.tokens.group(i)
        return group[1] + 1 if group else i


def without_marks(words: str) -> str:
    """A heading without the marks of its footnotes."""
    return " ".join(_NOTE_MARK.sub("", words).split())
