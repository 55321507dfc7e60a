"""Environments of LaTeX: formulas, lists, floats, theorems, tables and code."""

from __future__ import annotations

import re

from qa_core.corpus.readers.grid import write_table
from qa_core.corpus.readers.latex.tables import table_rows
from qa_core.corpus.readers.latex.tokens import Token
from qa_core.corpus.readers.latex.walk import Walk

_MATH = {
    "equation", "align", "gather", "multline", "eqnarray", "displaymath", "math", "flalign", "alignat", "dmath",
    "IEEEeqnarray",
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
    "listing": "Listing", "sidewaystable": "Table", "sidewaysfigure": "Figure", "longtable": "Table",
    "SCfigure": "Figure", "teaserfigure": "Figure", "algorithm2e": "Algorithm",
}  # fmt: skip
_ARGUMENTS = {
    "minipage": 1, "wrapfigure": 2, "wraptable": 2, "multicols": 1, "adjustbox": 1, "subfigure": 1, "subtable": 1,
    "adjustwidth": 2, "tcolorbox": 0, "spacing": 1, "thebibliography": 1,
}  # fmt: skip
HEADED = {"abstract": "Abstract", "acks": "Acknowledgements", "acknowledgements": "Acknowledgements"}
HEADED |= {"acknowledgments": "Acknowledgments", "thebibliography": "References", "keywords": "Keywords"}
_SKIPPED = {"CCSXML", "tikzpicture", "filecontents", "pgfpicture", "picture", "comment"}
_LANGUAGE = re.compile(r"language=\{?(?:\[[^\]]*\])?\s*([\w+#-]+)")
_CODE_OPTIONS = re.compile(r"\s*\[((?:[^\[\]]|\[[^\[\]]*\])*)\]")
_CODE_CAPTION = re.compile(r"caption=(?:\{([^{}]*)\}|([^,\]]*))")


class Environments(Walk):
    def formula(self, i: int) -> int:
        token, close = self.tokens.all[i], self.tokens.close[i]
        if close < 0:
            self.add(token.text if token.kind == "dollar" else "", token)
            return i + 1
        self.write_formula(self.tokens.slice(i + 1, close), token.text in ("$$", r"\["), i, close)
        return close + 1

    def write_formula(self, latex: str, display: bool, first: int, last: int) -> None:
        latex = self.shorthands.expand(latex).strip("\n")
        start, end = self.tokens.all[first].start, self.tokens.all[last].end
        if display and not self.captured:
            self.flow.settle()
            self.flow.writer.math(latex, start, end)
        elif latex.strip():
            self.line.add(f"${' '.join(latex.split())}$", start, end)

    def begin(self, i: int) -> int:
        token, close = self.tokens.all[i], self.tokens.close[i]
        name = token.name
        if close > 0 and name in _SKIPPED:
            return close + 1
        if close > 0 and name in _MATH:
            body = self.tokens.slice(i + 1, close)
            if name not in _UNNAMED_MATH:
                closing = self.tokens.all[close].text  # of a shorthand it does not say the name
                environment = closing if closing.startswith(r"\end") else rf"\end{{{name}}}"
                body = f"{environment.replace('end', 'begin', 1)}{body.rstrip()}\n{environment}"
            self.write_formula(body, True, i, close)
            return close + 1
        if close > 0 and name in _TABLES and not self.captured:
            return self._table(i, close)
        self.end_paragraph()
        if name in _FLOATS:
            self.floats.append(_FLOATS[name])
        if name in self.statements:
            return self._statement(i)
        after = self.skip_arguments(i + 1, _ARGUMENTS.get(name, _TABLES.get(name, 0)))
        if not self.captured:
            self._begin_block(name, i)
        return after

    def _begin_block(self, name: str, i: int) -> None:
        token = self.tokens.all[i]
        if name in _LISTS:
            self.flow.open_list(_LISTS[name], None)
        elif name in _QUOTES:
            self.flow.quoted = True
        elif name in HEADED:
            self.flow.settle()
            self.flow.writer.heading(2, HEADED[name], token.start, token.end)

    def end(self, name: str) -> None:
        self.end_paragraph()
        if name in _FLOATS and self.floats:
            self.floats.pop()
        if self.captured:
            return
        if name in _LISTS:
            self.flow.close_list()
        elif name in _QUOTES:
            self.flow.quoted = False
        elif name in HEADED or name in self.statements or name in _FLOATS:
            self.flow.settle()

    def _statement(self, i: int) -> int:
        """A theorem opens with its name, and the title that stands in brackets."""
        token = self.tokens.all[i]
        title = self.tokens.group(i + 1, "[")
        name = self.statements[token.name]
        if title is None:
            self.add(f"{name}. ", token)
            return i + 1
        words = self.words(*title)
        self.line.add(f"{name} ({words}). ", token.start, self.tokens.all[title[1]].end)
        return title[1] + 1

    def _table(self, i: int, close: int) -> int:
        first = self.skip_arguments(i + 1, _TABLES[self.tokens.all[i].name])
        self.flow.settle()
        if self.tokens.all[i].name == "longtable":
            self.floats.append("Table")
        rows = table_rows(self, first, close)
        if self.tokens.all[i].name == "longtable":
            self.floats.pop()
        write_table(self.flow.writer, rows, self.tokens.all[i].start, self.tokens.all[close].end)
        self.flow.settle()
        return close + 1

    def verbatim(self, token: Token) -> None:
        if token.name in _SKIPPED:
            return
        body = token.text[token.text.index("}") + 1 : token.text.rindex("\\end")]
        options = _CODE_OPTIONS.match(body) if token.name in ("lstlisting", "minted", "Verbatim") else None
        body = body[options.end() :] if options else body
        language = _LANGUAGE.search(options[1]) if options else None
        if token.name == "minted" and (argument := re.match(r"\s*\{([^{}]*)\}", body)):
            language, body = argument, body[argument.end() :]
        if self.captured:
            self.add(" ".join(body.split()), token)
            return
        self.flow.settle()
        if options and (caption := _CODE_CAPTION.search(options[1])):
            self.flow.writer.paragraph(f"Listing: {caption[1] or caption[2]}", token.start, token.end)
        self.flow.writer.code(body, token.start, token.end, language[1].lower() if language else "")
