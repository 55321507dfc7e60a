"""The events of an HTML page to markdown blocks."""

from __future__ import annotations

import html
from typing import Any

from qa_core.corpus.readers.html.captions import Captions
from qa_core.corpus.readers.html.code import Code, language_of
from qa_core.corpus.readers.html.events import Event, Page, classes
from qa_core.corpus.readers.html.math import inline_math, split_text
from qa_core.corpus.readers.html.notes import Notes
from qa_core.corpus.readers.html.survey import HEADINGS, Survey, is_chrome, is_mark, note_target, survey
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


def render_page(page: Page) -> MarkdownWriter:
    blocks = _Blocks(page, survey(page))
    blocks.run()
    return blocks.flow.writer


class _Blocks(Captions, Notes, Code):
    def __init__(self, page: Page, known: Survey) -> None:
        super().__init__(page, known)
        self.in_main = known.main is None
        self.quotes = 0

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
        return is_chrome(node) or id(node) in self.known.chrome or is_mark(node)

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
                self.formula(html.unescape(piece.latex), piece.display, start, end)

    def _enter(self, event: Event) -> None:
        node, name = event.node, event.node.name
        if name in _BLOCK_TAGS:
            self._break(event)
        if not self.in_main:
            return
        if name == "script" and not (node.attrs.get("type") or "").startswith("math"):
            self.open_context(event, self.close_bibliography, raw=True)
        elif name in _FORMULAS or name == "script":
            self.enter_formula(event)
        elif name in HEADINGS:
            self.open_context(event, self.close_heading)
        elif name in ("ul", "ol") and not self.contexts:
            self.flow.open_list(name == "ol", node.attrs.get("start"))
        elif name == "li" and not self.contexts and not self.is_note(node):
            self.flow.open_item()
        elif name == "table" and not self.contexts:
            self.enter_table(event)
        elif name == "pre" and not self.contexts:
            self.open_context(event, self.close_code, raw=True, language=language_of(node))
        elif name in ("tr", "td", "th"):
            self.enter_cell(event)
        elif name in ("figcaption", "caption"):
            self.open_context(event, self.close_caption)
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
        if name in _NOTES or "ltx_role_footnote" in names or self.is_note(node):
            self.enter_note(event)
        elif "ltx_listing" in names and not self.contexts:
            self.open_context(event, self.close_code, raw=True, language=language_of(node))
        elif name == "br":
            self.line.add("\n", event.start, event.end)
        elif raw:
            self.enter_in_code(node)
        elif name in _INLINE_CODE:
            self.open_context(event, self.close_inline_code)
        elif name in ("sup", "sub"):
            self.open_context(event, self.close_script)
        elif name in _CITATIONS and (key := node.attrs.get("key") or node.attrs.get("bibtex-key")):
            self.line.add(f"[{', '.join(part.strip() for part in key.split(','))}]", event.start, event.end)
        elif name == "a" and (target := note_target(node)) in self.known.note_targets:
            self.open_context(event, lambda context, end: self.close_note_mark(context, target or "", end))
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


def _trimmed(text: str, start: int, end: int, offset: int) -> tuple[int, int]:
    """``text[start:end]`` without white space around it, counted from ``offset``."""
    part = text[start:end]
    return offset + end - len(part.lstrip()), offset + start + len(part.rstrip())
