"""Footnotes, citations and carried bibliographies of an HTML page."""

from __future__ import annotations

import re
from typing import Any

from qa_core.corpus.readers.html import bibtex
from qa_core.corpus.readers.html.contexts import Context, Contexts
from qa_core.corpus.readers.html.events import Event


class Notes(Contexts):
    def is_note(self, node: Any) -> bool:
        return bool(node.attrs) and node.attrs.get("id") in self.known.note_targets

    def enter_note(self, event: Event) -> None:
        if self.is_note(event.node):
            self.flow.settle()
            label = _label(event.node.attrs["id"] or "")
        else:
            label = self.flow.next_note()
            self.line.add(f"[^{label}]", event.start, event.start)
        self.open_context(event, lambda context, end: self._close_note(context, label, end))

    def _close_note(self, context: Context, label: str, end: int) -> None:
        self.flow.add_note(label, context.line.text(), context.line.start, end)
        self.line.reach(end)

    def close_note_mark(self, context: Context, target: str, end: int) -> None:
        self.line.add(f"[^{_label(target)}]", context.line.start, end)

    def close_bibliography(self, context: Context, end: int) -> None:
        source = "".join(context.line.parts)
        offset = max(self.page.source.find(source, context.line.start), 0)
        self.flow.settle()
        entries = list(bibtex.references(source))
        if entries:
            self.flow.writer.heading(2, "References", offset + entries[0][1], offset + entries[-1][2])
        for words, start, stop in entries:
            self.flow.writer.paragraph(words, offset + start, offset + stop)


def _label(target: str) -> str:
    """``1`` for ``fn1`` and ``footnote-1``."""
    return re.sub(r"^(?:user-content-)?(?:fn|footnote|endnote|note)[-_:.]?", "", target) or target
