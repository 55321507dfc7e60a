"""The events of an HTML page to markdown blocks."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from qa_core.corpus.readers import bibtex
from qa_core.corpus.readers.grid import Cell, write_table
from qa_core.corpus.readers.html_events import Event, Page, classes
from qa_core.corpus.readers.flow import Flow, Line
from qa_core.corpus.readers.html_math import inline_math, plain_style, split_text
from qa_core.corpus.readers.html_survey import HEADINGS, Survey, is_chrome, note_target, survey
from qa_core.corpus.readers.rendering import MarkdownWriter

_BLOCK_TAGS = {
    "address", "article", "aside", "blockquote", "body", "caption", "center", "d-abstract", "d-appendix", "d-article",
    "d-title", "dd", "details", "dialog", "div", "dl", "dt", "dt-appendix", "dt-article", "fieldset", "figcaption",
    "figure", "footer", "header", "hgroup", "hr", "html", "li", "main", "ol", "p", "pre", "section", "summary", "table",
    "tbody", "td", "tfoot", "th", "thead", "tr", "ul", *HEADINGS,
}  # fmt: skip
_INLINE_CODE = {"code", "kbd", "samp", "tt"}
_FORMULAS = {"d-math", "dt-math", "math"}
_NOTES = {"d-footnote", "dt-fn"}
_CITATIONS = {"d-cite", "dt-cite"}
_SKIPPED_MARKS = {"ltx_note_mark", "ltx_tag_note", "ltx_tag_item"}
_CAPTION_START = re.compile(
    r"(?:supplementary |extended data )?"
    r"(?:fig(?:ure|\.)?|table|tab\.|listing|algorithm|scheme|box|chart|plate|video|movie|code|example)(?![a-z])",
    re.IGNORECASE,
)
_LANGUAGE = re.compile(
    r"(?:^|\s)(?:language-|lang-|highlight-source-|highlight-|brush:\s*|ltx_lst_language_|sourceCode\s+|src-)([\w+#.-]+)"
)
_MAX_NESTING = 16
"""Captions in cells in notes and so on; deeper ones join the words around them, for each level reads its words again."""
_ORDINAL = {"st", "nd", "rd", "th"}


@dataclass
class _Context:
    """An open element whose words do not go straight into the text."""

    node: Any
    line: Line
    close: Callable[[_Context, int], None]
    """Called with the element's end."""
    raw: bool = False
    """White space and marks in the text stay as they are."""
    language: str = ""
    rows: list[list[Cell]] = field(default_factory=list)
    latex: list[str] = field(default_factory=list)


def render_page(page: Page) -> MarkdownWriter:
    blocks = _Blocks(page, survey(page))
    blocks.run()
    return blocks.flow.writer


class _Blocks:
    def __init__(self, page: Page, known: Survey) -> None:
        self.page = page
        self.known = known
        self.flow = Flow()
        self.contexts: list[_Context] = []
        self.in_main = known.main is None
        self.quotes = 0
        self.figures: list[Any] = [None]
        """Open figures, innermost last."""

    def run(self) -> None:
        for event in self.page.events(self._skip):
            if event.node is self.known.main:
                self.in_main = event.kind == "enter"
            if event.kind == "text":
                if self.in_main:
                    self._text(event)
            elif event.kind == "enter":
                self._enter(event)
            else:
                self._leave(event)
        self.flow.settle()

    def _skip(self, node: Any) -> bool:
        return (
            is_chrome(node)
            or id(node) in self.known.chrome
            or (node.name == "span" and bool(node.attrs) and bool(classes(node) & _SKIPPED_MARKS))
            or (node.name == "sup" and "ltx_note_mark" in classes(node))
        )

    @property
    def line(self) -> Line:
        return self.contexts[-1].line if self.contexts else self.flow.line

    # Texts

    def _text(self, event: Event) -> None:
        context = self.contexts[-1] if self.contexts else None
        data = event.node.data
        if context is not None and context.raw:
            context.line.add(data, event.start, event.end)
            return
        source = self.page.source[event.start : event.end]
        if html.unescape(source) != data:
            self.line.add(data, *_trimmed(source, 0, len(source), event.start))
            return
        for piece in split_text(source):
            start, end = _trimmed(source, piece.start, piece.end, event.start)
            if piece.latex is None:
                self.line.add(html.unescape(source[piece.start : piece.end]), start, end)
            else:
                self._formula(html.unescape(piece.latex), piece.display, start, end)

    def _formula(self, latex: str, display: bool, start: int, end: int) -> None:
        if display and not self.contexts:
            self.flow.settle()
            self.flow.writer.math(latex, start, end)
        else:
            self.line.add(inline_math(latex), start, end)

    # Elements

    def _enter(self, event: Event) -> None:
        node, name = event.node, event.node.name
        if name in _BLOCK_TAGS:
            self._break(event)
        if not self.in_main:
            return
        if name in _FORMULAS or name == "script":
            self._enter_special(event)
        elif name in HEADINGS:
            self._open(event, self._close_heading)
        elif name in ("ul", "ol") and not self.contexts:
            self.flow.open_list(name == "ol", node.attrs.get("start"))
        elif name == "li" and not self.contexts and not self._is_note(node):
            self.flow.open_item()
        elif name == "table" and not self.contexts:
            self._enter_table(event)
        elif name == "pre" and not self.contexts:
            self._open(event, self._close_code, raw=True, language=_language(node))
        elif name in ("tr", "td", "th"):
            self._enter_cell(event)
        elif name in ("figcaption", "caption"):
            self._open(event, self._close_caption)
        elif name == "blockquote":
            self.quotes += 1
        elif name == "figure":
            self.figures.append(node)
        else:
            self._enter_inline(event)

    def _enter_inline(self, event: Event) -> None:
        node, name = event.node, event.node.name
        names = classes(node) if node.attrs else set()
        raw = bool(self.contexts) and self.contexts[-1].raw
        if name in _NOTES or "ltx_role_footnote" in names or self._is_note(node):
            self._enter_note(event)
        elif "ltx_listing" in names and not self.contexts:
            self._open(event, self._close_code, raw=True, language=_language(node))
        elif name == "br":
            self.line.add("\n", event.start, event.end)
        elif raw:
            self._enter_in_code(node)
        elif name in _INLINE_CODE:
            self._open(event, self._close_inline_code)
        elif name in ("sup", "sub"):
            self._open(event, self._close_script)
        elif name in _CITATIONS and (key := node.attrs.get("key") or node.attrs.get("bibtex-key")):
            self.line.add(f"[{', '.join(part.strip() for part in key.split(','))}]", event.start, event.end)
        elif name == "a" and (target := note_target(node)) in self.known.note_targets:
            self._open(event, lambda context, end: self._close_note_mark(context, target or "", end))
        elif name == "img" and (alt := (node.attrs.get("alt") or "").strip()).startswith(("$", "\\(")):
            self.line.add(inline_math(alt.strip("$").removeprefix("\\(").removesuffix("\\)")), event.start, event.end)

    def _leave(self, event: Event) -> None:
        name = event.node.name
        if self.contexts and self.contexts[-1].node is event.node:
            context = self.contexts.pop()
            context.line.end = max(context.line.end, event.end)
            context.close(context, event.end)
        elif name in _BLOCK_TAGS:
            if name == "tr" and self.contexts and self.contexts[-1].latex:
                self.contexts[-1].latex.append("\n")
            self._break(event)
            if name in ("ul", "ol") and not self.contexts:
                self.flow.close_list()
            elif name == "blockquote":
                self.quotes = max(self.quotes - 1, 0)
                self.flow.quoted = self.quotes > 0
            elif self.figures[-1] is event.node:
                self.figures.pop()
        elif self.contexts and self.contexts[-1].raw and "ltx_listingline" in classes(event.node):
            self.line.add("\n", event.end, event.end)
        if name in _CITATIONS:
            self.line.reach(event.end)

    def _break(self, event: Event) -> None:
        """A block begins or ends: within a caption, a cell or a note that is no more than a space."""
        if not self.contexts:
            self.flow.quoted = self.quotes > 0
            self.flow.flush()
        elif not self.contexts[-1].raw:
            self.line.space()

    def _open(
        self, event: Event, close: Callable[[_Context, int], None], raw: bool = False, language: str = ""
    ) -> None:
        if len(self.contexts) >= _MAX_NESTING:
            return
        line = Line()
        line.reach(event.start)
        self.contexts.append(_Context(event.node, line, close, raw, language))

    def _close_heading(self, context: _Context, end: int) -> None:
        if self.contexts:
            self.line.join(context.line)
            return
        self.flow.settle()
        self.flow.writer.heading(HEADINGS[context.node.name], context.line.text(), context.line.start, end)
        self.flow.settle()

    def _close_caption(self, context: _Context, end: int) -> None:
        words = context.line.text()
        if not words:
            return
        if not _CAPTION_START.match(words):
            of_table = context.node.name == "caption" or id(self.figures[-1]) in self.known.figures_with_table
            words = f"{'Table' if of_table else 'Figure'}: {words}"
        if self.contexts and self.contexts[-1].close != self._close_table:
            self.line.join(context.line)
            return
        self.flow.settle()
        self.flow.writer.paragraph(words, context.line.start, end)
        self.flow.settle()

    # Code

    def _enter_in_code(self, node: Any) -> None:
        self.contexts[-1].language = self.contexts[-1].language or _language(node)

    def _close_code(self, context: _Context, end: int) -> None:
        self.flow.settle()
        self.flow.writer.code("".join(context.line.parts), context.line.start, end, context.language)

    def _close_inline_code(self, context: _Context, end: int) -> None:
        words = context.line.text()
        marked = f"`{words}`" if words and "`" not in words and "$" not in words else words
        self.line.add(marked, context.line.start, end)

    def _close_script(self, context: _Context, end: int) -> None:
        """A power or an index keeps its meaning; footnote marks and ordinals need no sign."""
        words = context.line.text()
        if words and not words.startswith("[") and " " not in words and words not in _ORDINAL:
            words = ("^" if context.node.name == "sup" else "_") + words
        self.line.add(words, context.line.start, end)

    # Formulas

    def _enter_special(self, event: Event) -> None:
        kind = event.node.attrs.get("type") or ""
        if event.node.name == "math":
            self._open(event, self._close_mathml, raw=True)
        elif kind in ("text/bibtex", "text/bibliography"):
            self._open(event, self._close_bibliography, raw=True)
        else:
            self._open(event, self._close_tex, raw=True)

    def _close_tex(self, context: _Context, end: int) -> None:
        attrs = context.node.attrs
        display = "block" in attrs or "mode=display" in (attrs.get("type") or "")
        self._deliver("".join(context.line.parts), display, context.line.start, end)

    def _close_mathml(self, context: _Context, end: int) -> None:
        attrs = context.node.attrs
        latex = attrs.get("alttext") or _annotation(context.node)
        if latex:
            self._deliver(plain_style(latex), attrs.get("display") == "block", context.line.start, end)
        else:
            self.line.add(" ".join("".join(context.line.parts).split()), context.line.start, end)

    def _deliver(self, latex: str, display: bool, start: int, end: int) -> None:
        if self.contexts and self.contexts[-1].close == self._close_equation:
            self.contexts[-1].latex.append(latex)
            self.line.reach(end)
        elif self.contexts and self.contexts[-1].raw:
            self.line.add(inline_math(latex), start, end)
        else:
            self._formula(latex, display, start, end)

    def _close_equation(self, context: _Context, end: int) -> None:
        number = context.line.text().strip("() ")
        rows = [row.strip() for row in " ".join(context.latex).split("\n") if row.strip()]
        body = " \\\\\n".join(rows) + (f" \\tag{{{number}}}" if number and " " not in number else "")
        if rows:
            self.flow.settle()
            self.flow.writer.math(body, context.line.start, end)
        else:
            self.flow.line.join(context.line)

    # Tables

    def _enter_table(self, event: Event) -> None:
        if classes(event.node) & {"ltx_eqn_table", "ltx_equation", "ltx_equationgroup"}:
            self._open(event, self._close_equation)
        elif id(event.node) not in self.known.layout_tables:
            self._open(event, self._close_table)

    def _enter_cell(self, event: Event) -> None:
        if not self.contexts or self.contexts[-1].close != self._close_table:
            return
        if event.node.name == "tr":
            self.contexts[-1].rows.append([])
        else:
            self._open(event, self._close_cell)

    def _close_cell(self, context: _Context, end: int) -> None:
        attrs = context.node.attrs
        cell = Cell(context.line.text(), _span(attrs.get("colspan")), _span(attrs.get("rowspan")))
        rows = self.contexts[-1].rows
        if not rows:
            rows.append([])
        rows[-1].append(cell)

    def _close_table(self, context: _Context, end: int) -> None:
        self.flow.settle()
        write_table(self.flow.writer, context.rows, context.line.start, end)
        self.flow.settle()

    # Notes and references

    def _is_note(self, node: Any) -> bool:
        return bool(node.attrs) and node.attrs.get("id") in self.known.note_targets

    def _enter_note(self, event: Event) -> None:
        if self._is_note(event.node):
            self.flow.settle()
            label = _label(event.node.attrs["id"] or "")
        else:
            label = self.flow.next_note()
            self.line.add(f"[^{label}]", event.start, event.start)
        self._open(event, lambda context, end: self._close_note(context, label, end))

    def _close_note(self, context: _Context, label: str, end: int) -> None:
        self.flow.add_note(label, context.line.text(), context.line.start, end)
        self.line.reach(end)

    def _close_note_mark(self, context: _Context, target: str, end: int) -> None:
        self.line.add(f"[^{_label(target)}]", context.line.start, end)

    def _close_bibliography(self, context: _Context, end: int) -> None:
        source = "".join(context.line.parts)
        offset = self.page.source.find(source, context.line.start)
        self.flow.settle()
        entries = list(bibtex.references(source))
        if entries:
            self.flow.writer.heading(2, "References", offset + entries[0][1], offset + entries[-1][2])
        for words, start, stop in entries:
            self.flow.writer.paragraph(words, offset + start, offset + stop)


def _trimmed(text: str, start: int, end: int, offset: int) -> tuple[int, int]:
    """``text[start:end]`` without white space around it, as places in the text that ``text`` stands in at ``offset``."""
    part = text[start:end]
    return offset + end - len(part.lstrip()), offset + start + len(part.rstrip())


def _language(node: Any) -> str:
    found = _LANGUAGE.search(node.attrs.get("class") or "")
    return found[1] if found else node.attrs.get("data-lang") or ""


def _annotation(node: Any) -> str:
    """The LaTeX that a MathML formula carries beside its tree."""
    stack = list(node.children or ())
    while stack:
        child = stack.pop()
        if child.name == "annotation" and child.attrs.get("encoding") == "application/x-tex":
            return "".join(text.data for text in child.children or () if text.name == "#text")
        stack.extend(child.children or ())
    return ""


def _span(value: str | None) -> int:
    return max(int(value), 1) if value and value.isascii() and value.isdigit() and len(value) < 6 else 1


def _label(target: str) -> str:
    """``1`` for ``fn1`` and ``footnote-1``."""
    return re.sub(r"^(?:user-content-)?(?:fn|footnote|endnote|note)[-_:.]?", "", target) or target
