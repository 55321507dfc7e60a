"""The body of a LaTeX paper to markdown blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from qa_core.corpus.readers.flow import Flow, Line
from qa_core.corpus.readers.grid import write_table
from qa_core.corpus.readers.latex_macros import ACCENTS, DROPPED, SYMBOLS, Shorthands, accented
from qa_core.corpus.readers.latex_tables import table_rows
from qa_core.corpus.readers.latex_tokens import Token, Tokens

_SECTIONS = {
    "part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5, "subparagraph": 6,
}  # fmt: skip
_MATH = {
    "equation", "align", "gather", "multline", "eqnarray", "displaymath", "math", "flalign", "alignat", "dmath", "IEEEeqnarray",
}  # fmt: skip
_UNNAMED_MATH = {"equation", "displaymath", "math", "dmath"}
"""What ``$$`` says already."""
_TABLES = {"tabular": 1, "tabularx": 2, "tabulary": 2, "longtable": 1, "array": 1, "tabu": 1, "supertabular": 1}
"""With the number of arguments before the first cell."""
_LISTS = {"itemize": False, "enumerate": True, "description": False, "compactitem": False, "compactenum": True}
_LISTS |= {"inparaenum": True, "compactdesc": False, "asparaenum": True, "algorithmic": False}
_QUOTES = {"quote", "quotation", "verse", "displayquote"}
_FLOATS = {
    "figure": "Figure", "table": "Table", "wrapfigure": "Figure", "wraptable": "Table", "algorithm": "Algorithm",
    "listing": "Listing", "sidewaystable": "Table", "sidewaysfigure": "Figure", "longtable": "Table", "SCfigure": "Figure",
    "teaserfigure": "Figure", "algorithm2e": "Algorithm",
}  # fmt: skip
_ARGUMENTS = {
    "minipage": 1, "wrapfigure": 2, "wraptable": 2, "multicols": 1, "adjustbox": 1, "subfigure": 1, "subtable": 1,
    "adjustwidth": 2, "tcolorbox": 0, "spacing": 1, "thebibliography": 1,
}  # fmt: skip
_HEADED = {"abstract": "Abstract", "acks": "Acknowledgements", "acknowledgements": "Acknowledgements"}
_HEADED |= {"acknowledgments": "Acknowledgments", "thebibliography": "References", "keywords": "Keywords"}
_SKIPPED = {"CCSXML", "tikzpicture", "filecontents", "pgfpicture", "picture", "comment"}
_STATEMENTS = {
    "theorem", "lemma", "corollary", "proposition", "definition", "remark", "example", "proof", "assumption", "claim",
    "conjecture", "observation", "fact", "hypothesis", "property", "problem", "note",
}  # fmt: skip
_CITATION = re.compile(r"\\(?:(?:full|foot|auto|paren|text|super|online)?[cC]ite[a-zA-Z]*)\*?")
_REFERENCE = re.compile(r"\\(?:auto|eq|page|name|c|C|v|V|sub|th)?ref\*?")
_ALGORITHM_LINE = re.compile(r"\\(?:State|Statex|For|ForAll|While|If|ElsIf|Else|Repeat|Until|Return|Require|Ensure|Procedure|Function)")
_SPACING = re.compile(r"\s*=?-?[\d.]+\s?[a-z]{2}(?:\s+(?:plus|minus)\s+[\d.]+\s?[a-z]{2,3})*")
_LANGUAGE = re.compile(r"language=\{?(?:\[[^\]]*\])?\s*([\w+#-]+)")
_CODE_OPTIONS = re.compile(r"\s*\[((?:[^\[\]]|\[[^\[\]]*\])*)\]")
_CODE_CAPTION = re.compile(r"caption=(?:\{([^{}]*)\}|([^,\]]*))")
_NOTE_MARK = re.compile(r"\[\^\d+\]")
_CAPTION_START = re.compile(r"(?:fig(?:ure|\.)|table|algorithm|listing)\s*\d", re.IGNORECASE)
_MAX_OPTION = 300
"""Characters; what stands in the brackets behind ``\\twocolumn`` is no option but the head of the paper."""
_MAX_NESTING = 16
"""Captions within cells within notes and so on; deeper ones join the words around them."""


class LatexBlocks:
    """Walks over tokens; ``words`` renders a stretch to one line, everything else goes to the flow of blocks."""

    def __init__(self, tokens: Tokens, shorthands: Shorthands, statements: dict[str, str]) -> None:
        self.tokens = tokens
        self.shorthands = shorthands
        self.statements = {name: name.capitalize() for name in _STATEMENTS} | statements
        """Environments that print a heading of their own, such as "Theorem"."""
        self.flow = Flow()
        self._captured: list[Line] = []
        self._floats: list[str] = []
        self._rendered: dict[str, str] = {}
        """Bodies of shorthands, in which other shorthands are written out, to their words."""

    @property
    def line(self) -> Line:
        return self._captured[-1] if self._captured else self.flow.line

    def run(self, first: int, stop: int) -> None:
        while first < stop:
            first = self.step(first)

    def words(self, first: int, stop: int) -> str:
        with self._capture() as line:
            self.run(first, stop)
        return line.text()

    @contextmanager
    def _capture(self) -> Iterator[Line]:
        self._captured.append(Line())
        try:
            yield self._captured[-1]
        finally:
            self._captured.pop()

    def step(self, i: int) -> int:
        """Renders what begins at token ``i``; returns the token after it."""
        token = self.tokens.all[i]
        match token.kind:
            case "text":
                self._add(_typeset(token.text), token)
            case "par":
                self._end_paragraph()
            case "special" | "break":
                self._add(" ", token)
            case "dollar" | "math":
                return self._formula(i)
            case "begin":
                return self._begin(i)
            case "end":
                self._end(token.name)
            case "verb":
                self._add(_inline_code(token.text), token)
            case "verbatim":
                self._verbatim(token)
            case "word":
                return self._command(i)
            case "symbol":
                return self._symbol(i)
            case "group" if token.text in "[]":
                self._add(token.text, token)
        return i + 1

    def _add(self, words: str, token: Token) -> None:
        self.line.add(words, *self._place(token))

    def _place(self, token: Token) -> tuple[int, int]:
        return token.end - len(token.text.lstrip()), token.start + len(token.text.rstrip())

    def _end_paragraph(self) -> None:
        if self._captured:
            self.line.space()
        else:
            self.flow.flush()

    # Formulas

    def _formula(self, i: int) -> int:
        token, close = self.tokens.all[i], self.tokens.close[i]
        if close < 0:
            self._add(token.text if token.kind == "dollar" else "", token)
            return i + 1
        self._write_formula(self.tokens.slice(i + 1, close), token.text in ("$$", r"\["), i, close)
        return close + 1

    def _write_formula(self, latex: str, display: bool, first: int, last: int) -> None:
        latex = self.shorthands.expand(latex).strip("\n")
        start, end = self.tokens.all[first].start, self.tokens.all[last].end
        if display and not self._captured:
            self.flow.settle()
            self.flow.writer.math(latex, start, end)
        elif latex.strip():
            self.line.add(f"${' '.join(latex.split())}$", start, end)

    # Environments

    def _begin(self, i: int) -> int:
        token, close = self.tokens.all[i], self.tokens.close[i]
        name = token.name
        if close > 0 and name in _SKIPPED:
            return close + 1
        if close > 0 and name in _MATH:
            body = self.tokens.slice(i + 1, close)
            if name not in _UNNAMED_MATH:
                environment = self.tokens.all[close].text if "\\end" in self.tokens.all[close].text else rf"\end{{{name}}}"
                body = f"{environment.replace('end', 'begin', 1)}{body.rstrip()}\n{environment}"
            self._write_formula(body, True, i, close)
            return close + 1
        if close > 0 and name in _TABLES and not self._captured:
            return self._table(i, close)
        self._end_paragraph()
        if name in _FLOATS:
            self._floats.append(_FLOATS[name])
        if name in self.statements:
            return self._statement(i)
        after = self._skip_arguments(i + 1, _ARGUMENTS.get(name, _TABLES.get(name, 0)))
        if not self._captured:
            self._begin_block(name, i, after)
        return after

    def _begin_block(self, name: str, i: int, after: int) -> None:
        token = self.tokens.all[i]
        if name in _LISTS:
            self.flow.open_list(_LISTS[name], None)
        elif name in _QUOTES:
            self.flow.quoted = True
        elif name in _HEADED:
            self.flow.settle()
            self.flow.writer.heading(2, _HEADED[name], token.start, token.end)

    def _end(self, name: str) -> None:
        self._end_paragraph()
        if name in _FLOATS and self._floats:
            self._floats.pop()
        if self._captured:
            return
        if name in _LISTS:
            self.flow.close_list()
        elif name in _QUOTES:
            self.flow.quoted = False
        elif name in _HEADED or name in self.statements or name in _FLOATS:
            self.flow.settle()

    def _statement(self, i: int) -> int:
        """A theorem opens with its name, and the title that stands in brackets."""
        token = self.tokens.all[i]
        title = self.tokens.group(i + 1, "[")
        name = self.statements[token.name]
        if title is None:
            self._add(f"{name}. ", token)
            return i + 1
        words = self.words(*title)
        self.line.add(f"{name} ({words}). ", token.start, self.tokens.all[title[1]].end)
        return title[1] + 1

    def _table(self, i: int, close: int) -> int:
        first = self._skip_arguments(i + 1, _TABLES[self.tokens.all[i].name])
        self.flow.settle()
        if self.tokens.all[i].name == "longtable":
            self._floats.append("Table")
        rows = table_rows(self, first, close)
        if self.tokens.all[i].name == "longtable":
            self._floats.pop()
        write_table(self.flow.writer, rows, self.tokens.all[i].start, self.tokens.all[close].end)
        self.flow.settle()
        return close + 1

    def _verbatim(self, token: Token) -> None:
        if token.name in _SKIPPED:
            return
        body = token.text[token.text.index("}") + 1 : token.text.rindex("\\end")]
        options = _CODE_OPTIONS.match(body) if token.name in ("lstlisting", "minted", "Verbatim") else None
        body = body[options.end() :] if options else body
        language = _LANGUAGE.search(options[1]) if options else None
        if token.name == "minted" and (argument := re.match(r"\s*\{([^{}]*)\}", body)):
            language, body = argument, body[argument.end() :]
        if self._captured:
            self._add(" ".join(body.split()), token)
            return
        self.flow.settle()
        if options and (caption := _CODE_CAPTION.search(options[1])):
            self.flow.writer.paragraph(f"Listing: {caption[1] or caption[2]}", token.start, token.end)
        self.flow.writer.code(body, token.start, token.end, language[1].lower() if language else "")

    # Commands

    def _command(self, i: int) -> int:
        token = self.tokens.all[i]
        name = token.text[1:].rstrip("*")
        if token.text in self.shorthands.bodies:
            return self._shorthand(i)
        if name in _SECTIONS and (title := self.argument(i + 1)):
            return self._heading(_SECTIONS[name], i, title)
        if name in ("abstract", "acknowledgments", "acknowledgements") and (body := self.tokens.group(i + 1)):
            return self._headed_argument(name, i, body)
        if name in ("caption", "captionof", "subcaption") and (body := self.argument(i + 1, skip=name == "captionof")):
            return self._caption(i, body)
        if name in ("footnote", "footnotetext", "thanks") and (body := self.argument(i + 1)):
            return self._footnote(i, body)
        if name == "item" or _ALGORITHM_LINE.fullmatch(token.text):
            return self._item(i)
        if name == "bibitem" and (key := self.argument(i + 1)):
            return self._bibitem(i, key)
        if (cited := _CITATION.fullmatch(token.text)) and (keys := self.argument(i + 1)):
            return self._citation(i, keys)
        if cited or _REFERENCE.fullmatch(token.text):
            return self._reference(i)
        if name in ("url", "path", "nolinkurl", "href") and (address := self.tokens.group(i + 1)):
            if name != "href":
                self.line.add(self.tokens.slice(*address), token.start, self.tokens.all[address[1]].end)
            return address[1] + 1
        return self._plain_command(i, name)

    def _plain_command(self, i: int, name: str) -> int:
        token = self.tokens.all[i]
        if name in ACCENTS and len(name) == 1 and self.tokens.group(i + 1):
            return self._accent(i, name)
        if name in SYMBOLS:
            self._add(SYMBOLS[name], token)
            return self._after_letter(i + 1) if SYMBOLS[name].isalpha() else i + 1
        if name in ("par", "newpage", "clearpage", "bigskip", "medskip", "smallskip", "maketitle", "centering"):
            self._end_paragraph()
            return i + 1
        if name in ("def", "let", "gdef", "edef"):
            return self._skip_definition(i + 1)
        if name in ("vskip", "hskip", "kern") and (spacing := _SPACING.match(self.tokens.text(i + 1))):
            after = self.tokens.all[i + 1]
            self._add(after.text[spacing.end() :], after)
            return i + 2
        if name in DROPPED:
            return self._skip_arguments(i + 1, DROPPED[name])
        optional = self.tokens.group(i + 1, "[") if self.tokens.text(i + 1) == "[" else None
        if optional is None:
            return i + 1
        if self.tokens.all[optional[1]].end - token.end > _MAX_OPTION:
            self.run(*optional)
        return optional[1] + 1

    def _after_letter(self, i: int) -> int:
        """The space in ``Stra\\ss e`` ends the command and is not printed."""
        if i < len(self.tokens.all) and self.tokens.all[i].kind == "text":
            self.line.add(_typeset(self.tokens.all[i].text.lstrip(" ")), *self._place(self.tokens.all[i]))
            return i + 1
        return i

    def _symbol(self, i: int) -> int:
        token = self.tokens.all[i]
        mark = token.text[1]
        if mark in ACCENTS:
            return self._accent(i, mark)
        if mark in "%&$#_{}":
            self._add(mark, token)
        elif mark in ",;: \n!>":
            self._add(" " if mark != "!" else "", token)
        return i + 1

    def _accent(self, i: int, mark: str) -> int:
        start = self.tokens.all[i].start
        if group := self.tokens.group(i + 1):
            self.line.add(accented(mark, self.words(*group)), start, self.tokens.all[group[1]].end)
            return group[1] + 1
        if i + 1 == len(self.tokens.all):
            return i + 1
        following = self.tokens.all[i + 1]
        if following.kind == "text":
            self.line.add(_typeset(accented(mark, following.text.lstrip())), start, self._place(following)[1])
            return i + 2
        if following.text in (r"\i", r"\j"):
            self.line.add(accented(mark, SYMBOLS[following.text[1:]]), start, following.end)
            return self._after_letter(i + 2)
        return i + 1

    def _shorthand(self, i: int) -> int:
        token = self.tokens.all[i]
        body = self.shorthands.body(token.text)
        if body not in self._rendered:
            inner = LatexBlocks(Tokens(body), Shorthands(Tokens("")), {})
            self._rendered[body] = inner.words(0, len(inner.tokens.all))
        self._add(self._rendered[body], token)
        return i + 1

    def _heading(self, level: int, i: int, title: tuple[int, int]) -> int:
        words = without_marks(self.words(*title))
        if self._captured:
            self.line.add(words, self.tokens.all[i].start, self.tokens.all[title[1]].end)
        else:
            self.flow.settle()
            self.flow.writer.heading(level, words, self.tokens.all[i].start, self.tokens.all[title[1]].end)
            self.flow.settle()
        return title[1] + 1

    def _headed_argument(self, name: str, i: int, body: tuple[int, int]) -> int:
        self.flow.settle()
        self.flow.writer.heading(2, _HEADED[name], self.tokens.all[i].start, self.tokens.all[i].end)
        return body[0]

    def _caption(self, i: int, body: tuple[int, int]) -> int:
        words = self.words(*body)
        if words and not _CAPTION_START.match(words):
            words = f"{self._floats[-1] if self._floats else 'Figure'}: {words}"
        start, end = self.tokens.all[i].start, self.tokens.all[body[1]].end
        if self._captured:
            self.line.add(f" {words} ", start, end)
        elif words:
            self.flow.settle()
            self.flow.writer.paragraph(words, start, end)
            self.flow.settle()
        return body[1] + 1

    def _footnote(self, i: int, body: tuple[int, int]) -> int:
        start, end = self.tokens.all[i].start, self.tokens.all[body[1]].end
        if len(self._captured) < _MAX_NESTING:
            label = self.flow.next_note()
            self.line.add(f"[^{label}]", start, end)
            self.flow.add_note(label, self.words(*body), start, end)
            return body[1] + 1
        return body[0]

    def _item(self, i: int) -> int:
        token = self.tokens.all[i]
        self._end_paragraph()
        if not self._captured:
            self.flow.open_item()
        if token.text not in (r"\item", r"\State", r"\Statex"):
            self._add(f"{token.text[1:]} ", token)
        elif label := self.tokens.group(i + 1, "["):
            words = self.words(*label)
            self.line.add(f"{words} " if words.endswith((":", ".", ")")) else f"{words}: ", token.start, token.end)
            return label[1] + 1
        return i + 1

    def _bibitem(self, i: int, key: tuple[int, int]) -> int:
        self.flow.flush()
        start, end = self.tokens.all[i].start, self.tokens.all[key[1]].end
        self.line.add(f"[{self.tokens.slice(*key).strip()}] ", start, end)
        return key[1] + 1

    def _citation(self, i: int, keys: tuple[int, int]) -> int:
        """``[see a, b, Sec. 2]``, with the notes before and after the keys where there are any."""
        notes = []
        j = i + 1
        while note := self.tokens.group(j, "["):
            notes.append(self.words(*note))
            j = note[1] + 1
        names = ", ".join(key.strip() for key in self.tokens.slice(*keys).split(","))
        before = f"{notes[0]} " if len(notes) > 1 and notes[0] else ""
        after = f", {notes[-1]}" if notes and notes[-1] else ""
        self.line.add(f"[{before}{names}{after}]", self.tokens.all[i].start, self.tokens.all[keys[1]].end)
        return keys[1] + 1

    def _reference(self, i: int) -> int:
        token = self.tokens.all[i]
        if label := self.tokens.group(i + 1):
            words = f"{token.text}{{{self.tokens.slice(*label)}}}"
            self.line.add(words, token.start, self.tokens.all[label[1]].end)
            return label[1] + 1
        return i + 1

    # Arguments

    def argument(self, i: int, *, skip: bool = False) -> tuple[int, int] | None:
        """The next group in braces, after optional arguments and, with ``skip``, after one more group."""
        while optional := self.tokens.group(i, "["):
            i = optional[1] + 1
        group = self.tokens.group(i)
        return self.argument(group[1] + 1) if group and skip else group

    def _skip_arguments(self, i: int, count: int) -> int:
        while (optional := self.tokens.group(i, "[")) and self.tokens.all[i].kind != "par":
            i = optional[1] + 1
        for _ in range(count):
            if group := self.argument(i):
                i = group[1] + 1
            elif i < len(self.tokens.all) and self.tokens.all[i].kind == "word":
                i += 1
        return i

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


def _typeset(text: str) -> str:
    """Dashes and quotation marks as they are printed."""
    if "-" in text:
        text = text.replace("---", "—").replace("--", "–")
    return text.replace("``", "“").replace("''", "”") if "`" in text or "'" in text else text


def _inline_code(source: str) -> str:
    body = source[source.index(source[-1], 1) + 1 : -1] if source[-1] != "}" else source[source.rindex("{") + 1 : -1]
    return f"`{body}`" if body and "`" not in body else body
