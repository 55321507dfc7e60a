"""Open elements of an HTML page whose words do not go straight into the text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from qa_core.corpus.readers.flow import Flow, Line
from qa_core.corpus.readers.grid import Cell
from qa_core.corpus.readers.html.events import Event, Page
from qa_core.corpus.readers.html.survey import Survey

_MAX_NESTING = 16
"""Captions in cells in notes and so on; deeper ones join the words around them."""


@dataclass
class Context:
    """An open element whose words do not go straight into the text."""

    node: Any
    line: Line
    close: Callable[[Context, int], None]
    """Called with the element's end."""
    raw: bool = False
    """White space and marks in the text stay as they are."""
    language: str = ""
    rows: list[list[Cell]] = field(default_factory=list)
    latex: list[str] = field(default_factory=list)


class Contexts:
    """Where words go: into the innermost open context, or into the flow of blocks."""

    def __init__(self, page: Page, known: Survey) -> None:
        self.page = page
        self.known = known
        self.flow = Flow()
        self.contexts: list[Context] = []

    @property
    def line(self) -> Line:
        return self.contexts[-1].line if self.contexts else self.flow.line

    def open_context(
        self, event: Event, close: Callable[[Context, int], None], raw: bool = False, language: str = ""
    ) -> None:
        if len(self.contexts) >= _MAX_NESTING:
            return
        line = Line()
        line.reach(event.start)
        self.contexts.append(Context(event.node, line, close, raw, language))
