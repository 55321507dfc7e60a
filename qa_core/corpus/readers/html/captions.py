"""Headings of an HTML page and the captions of its figures and tables."""

from __future__ import annotations

import re
from typing import Any

from qa_core.corpus.readers.html.contexts import Context
from qa_core.corpus.readers.html.events import Page
from qa_core.corpus.readers.html.survey import HEADINGS, Survey
from qa_core.corpus.readers.html.tables import Tables

_CAPTION_START = re.compile(
    r"(?:supplementary |extended data )?"
    r"(?:fig(?:ure|\.)?|table|tab\.|listing|algorithm|scheme|box|chart|plate|video|movie|code|example)(?![a-z])",
    re.IGNORECASE,
)


class Captions(Tables):
    def __init__(self, page: Page, known: Survey) -> None:
        super().__init__(page, known)
        self.figures: list[Any] = [None]
        """Open figures, innermost last."""

    def close_heading(self, context: Context, end: int) -> None:
        if self.contexts:
            self.line.join(context.line)
            return
        self.flow.settle()
        self.flow.writer.heading(HEADINGS[context.node.name], context.line.text(), context.line.start, end)
        self.flow.settle()

    def close_caption(self, context: Context, end: int) -> None:
        words = context.line.text()
        if not words:
            return
        if not _CAPTION_START.match(words):
            of_table = context.node.name == "caption" or id(self.figures[-1]) in self.known.figures_with_table
            words = f"{'Table' if of_table else 'Figure'}: {words}"
        if self.contexts and self.contexts[-1].close != self.close_table:
            self.line.join(context.line)
            return
        self.flow.settle()
        self.flow.writer.paragraph(words, context.line.start, end)
        self.flow.settle()
