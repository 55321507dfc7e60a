"""The elements of a reStructuredText tree as markdown blocks; their spans are first lines, counted from 1."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from qa_core.corpus.readers.rendering import MarkdownWriter
from qa_core.corpus.readers.restructuredtext.elements import csv_rows, enumerator, first_line, nested_items, title_line
from qa_core.corpus.readers.restructuredtext.inline import Inline
from qa_core.corpus.readers.restructuredtext.names import (
    ARGUMENT_UNSEEN,
    CODE,
    REFERENCES,
    SILENT_FIELDS,
    UNSEEN,
    VERBATIM,
)

MAX_SUBSTITUTION_CHARS = 200
"""A longer replacement, used often, would make the paper much larger than its file."""


class Blocks:
    """Renders elements into ``writer`` and notes where any element begins in ``boundaries``."""

    def __init__(self, document: Any, lines: Sequence[str]) -> None:
        from docutils import nodes

        texts = {
            " ".join(name.split()): definition.astext()
            for definition in document.findall(nodes.substitution_definition)
            for name in map(str.lower, definition["names"])
        }
        self._lines = lines
        self.title = ""
        self.boundaries: set[int] = set()
        self.titles: set[int] = set()
        self.writer = MarkdownWriter("character")
        self._substitutions = {name: text for name, text in texts.items() if len(text) <= MAX_SUBSTITUTION_CHARS}
        self._references = Inline(self._substitutions)
        self._definitions = Inline(self._substitutions)
        self._citations: list[tuple[str, int]] = []
        self._under_references = False
        self._level = 0
        self._line = 1
        self._depth = 0
        """Above 0 the blocks go into another block, whose span covers them."""

    def render(self, document: Any) -> None:
        self._children(document)
        if self._citations and not self._under_references:
            top_sections = sum(child.tagname == "section" for child in document.children)
            self.writer.heading(2 if top_sections == 1 else 1, "References", self._citations[0][1], 0)
        for words, line in self._citations:
            self.writer.paragraph(words, line, 0)

    def _children(self, element: Any) -> None:
        for child in element.children:
            self._render(child)

    def _render(self, element: Any) -> None:
        line = first_line(element)
        if line is not None and not self._depth:
            self._line = line
            self.boundaries.add(line)
        method: Callable[[Any], None] = getattr(self, f"_on_{element.tagname.strip('#').lower()}", self._children)
        method(element)

    def _words(self, element: Any) -> str:
        return self._references.markdown(element.astext())

    def _all_words(self, elements: Iterable[Any]) -> str:
        texts = [element for element in elements if element.tagname != "system_message"]
        if all(element.tagname == "paragraph" for element in texts):
            return " ".join(map(self._words, texts))
        return " ".join(self._markdown_of(texts).split())

    def _on_section(self, element: Any) -> None:
        self._level += 1
        self._children(element)
        self._level -= 1

    def _on_title(self, element: Any) -> None:
        words = self._words(element)
        if self._level == 1 and not self.title:
            self.title = " ".join(words.split())
        if " ".join(words.lower().split()) in REFERENCES:
            self._under_references = True
        self._line = title_line(element)
        self.boundaries.update((self._line, element.line + 1))
        self.titles.add(self._line)
        self.writer.heading(self._level, words, self._line, 0)

    def _on_paragraph(self, element: Any) -> None:
        if self._depth:
            self.writer.block(" ".join(self._words(element).split()), self._line, 0)
        else:
            self.writer.paragraph(self._words(element), self._line, 0)

    def _on_attribution(self, element: Any) -> None:
        self.writer.paragraph("— " + self._words(element), self._line, 0)

    def _on_literal_block(self, element: Any) -> None:
        self.writer.code(element.astext(), self._line, 0)

    def _on_doctest_block(self, element: Any) -> None:
        self.writer.code(element.astext(), self._line, 0, "python")

    def _on_line_block(self, element: Any) -> None:
        lines = [self._words(line) for line in element.findall() if line.tagname == "line"]
        self.writer.block("\\\n".join(line for line in lines if line.strip()), self._line, 0)

    def _on_block_quote(self, element: Any) -> None:
        for child in element.children:
            self._prefixed(child, "> ", "> ")

    def _on_bullet_list(self, element: Any) -> None:
        for item in element.children:
            self._prefixed(item, "- ", "  ")

    def _on_enumerated_list(self, element: Any) -> None:
        for number, item in enumerate(element.children, start=element.get("start", 1)):
            if element["enumtype"] == "arabic":
                self._prefixed(item, f"{number}. ", " " * len(f"{number}. "))
            else:
                mark = enumerator(number, element["enumtype"])
                self._prefixed(item, f"{element['prefix']}{mark}{element['suffix']} ", "")

    def _on_definition_list_item(self, element: Any) -> None:
        term = " : ".join(self._words(part) for part in element.children[:-1])
        self.writer.block(f"**{' '.join(term.split())}**", self._line, 0)
        self._children(element.children[-1])

    def _on_option_list_item(self, element: Any) -> None:
        """Docutils gives the line of the description, which may begin below the option."""
        if not self._depth and self._line > 1 and not self._lines[self._line - 1].lstrip().startswith(("-", "/", "+")):
            self._line -= 1
            self.boundaries.add(self._line)
        self.writer.code(element.children[0].astext().strip(), self._line, 0)
        self._children(element.children[-1])

    def _on_field(self, element: Any) -> None:
        name, body = element.children[0].astext(), element.children[1]
        if name.lower() in SILENT_FIELDS:
            return
        if name.lower() in ("abstract", "dedication"):
            self.writer.heading(max(self._level, 1) + 1, name, self._line, 0)
            self._children(body)
            return
        words = self._all_words(body.children)
        self.writer.paragraph(f"{self._references.markdown(name)}: {words}", self._line, 0)

    def _on_footnote(self, element: Any) -> None:
        label = element.children[0] if element.children and element.children[0].tagname == "label" else None
        mark = label.astext() if label else "*" if element.get("auto") == "*" else "#" + "".join(element["names"][:1])
        body = self._markdown_of([child for child in element.children if child is not label])
        indented = body.replace("\n", "\n    ")
        self.writer.block(f"[^{self._definitions.footnote_id(mark)}]: {indented}", self._line, 0)

    def _on_citation(self, element: Any) -> None:
        label, *body = element.children
        words = f"[{label.astext()}] {self._all_words(body)}"
        if self._under_references:
            self.writer.paragraph(words, self._line, 0)
        else:
            self._citations.append((words, self._line))

    def _on_table(self, element: Any) -> None:
        rows: list[list[str]] = []
        for row in (part for part in element.findall() if part.tagname == "row"):
            cells: list[str] = []
            for entry in row.children:
                cells += [self._all_words(entry.children), *[""] * entry.get("morecols", 0)]
            rows.append(cells)
        self.writer.table(rows, self._line, 0)

    def _on_system_message(self, element: Any) -> None:
        """Text that docutils could not make sense of, such as a broken table, stays as it was."""
        if element.get("line") and not self._depth:
            self._line = element["line"]
            self.boundaries.add(self._line)
        for child in element.children:
            if child.tagname == "literal_block":
                self.writer.code(child.astext(), self._line, 0)

    def _on_nothing(self, element: Any) -> None:
        """Comments and targets are no text of the paper."""

    _on_comment = _on_target = _on_substitution_definition = _on_transition = _on_pending = _on_nothing

    def _on_text(self, element: Any) -> None:
        self.writer.paragraph(self._words(element), self._line, 0)

    def _on_directive(self, element: Any) -> None:
        name, argument, body = element["name"], element["argument"], element.rawsource
        if name in UNSEEN or name.startswith(("auto", "highlight")):
            return
        if name == "math":
            self.writer.math(f"{argument}\n{body}", self._line, 0)
        elif name in CODE:
            language = argument if name in ("code", "code-block", "sourcecode") else ""
            caption = element["options"].get("caption", "")
            self.writer.paragraph(self._references.markdown(caption), self._line, 0)
            self.writer.code(body, self._line, 0, language.split(" ")[0])
        elif name in ("figure", "table", "list-table", "csv-table"):
            self._captioned(element)
        elif name == "rubric":
            self._rubric(argument)
        else:
            if argument and name not in ARGUMENT_UNSEEN:
                self.writer.paragraph(self._references.markdown(argument), self._line, 0)
            if name in VERBATIM:
                self.writer.code(body, self._line, 0)
            self._children(element)

    def _rubric(self, words: str) -> None:
        if words.lower() in REFERENCES:
            self._under_references = True
            self.writer.heading(max(self._level, 1) + 1, words, self._line, 0)
        else:
            self.writer.block(f"**{self._references.markdown(words)}**", self._line, 0)

    def _captioned(self, element: Any) -> None:
        """A caption begins as figures and tables do when it does not say so itself."""
        name, children = element["name"], list(element.children)
        kind = "Figure" if name == "figure" else "Table"
        caption = self._references.markdown(element["argument"]) if kind == "Table" else ""
        if kind == "Figure" and children and children[0].tagname == "paragraph":
            caption = self._words(children.pop(0))
        if caption and not caption.lower().startswith(("fig", "tab")):
            caption = f"{kind}: {caption}"
        self.writer.paragraph(caption, self._line, 0)
        if name == "csv-table":
            header, body = element["options"].get("header", ""), element.rawsource
            self.writer.table(csv_rows(f"{header}\n{body}", self._references), self._line, 0)
        elif name == "list-table" and children and children[0].tagname == "bullet_list":
            rows = [nested_items(row) for row in children[0].children]
            self.writer.table([[self._words(cell) for cell in row] for row in rows], self._line, 0)
        else:
            for child in children:
                self._render(child)

    def _prefixed(self, element: Any, first: str, rest: str) -> None:
        """An element whose blocks stand behind a mark, as one block."""
        line = first_line(element)
        if line is not None and not self._depth:
            self._line = line
            self.boundaries.add(line)
        children = element.children if element.tagname == "list_item" else [element]
        lines = self._markdown_of(children).split("\n")
        self.writer.block(
            "\n".join([first + lines[0], *(f"{rest}{part}".rstrip() for part in lines[1:])]), self._line, 0
        )

    def _markdown_of(self, elements: list[Any]) -> str:
        outer, self.writer = self.writer, MarkdownWriter("character")
        self._depth += 1
        for element in elements:
            self._render(element)
        inner, self.writer = self.writer, outer
        self._depth -= 1
        return inner.text().rstrip("\n")
