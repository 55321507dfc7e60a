"""Tables of an HTML page; those that only place things on the page are read as text."""

from __future__ import annotations

from qa_core.corpus.readers.grid import Cell, write_table
from qa_core.corpus.readers.html.contexts import Context
from qa_core.corpus.readers.html.events import Event, classes
from qa_core.corpus.readers.html.formulas import Formulas


class Tables(Formulas):
    def enter_table(self, event: Event) -> None:
        if classes(event.node) & {"ltx_eqn_table", "ltx_equation", "ltx_equationgroup"}:
            self.open_context(event, self.close_equation)
        elif id(event.node) not in self.known.layout_tables:
            self.open_context(event, self.close_table)

    def enter_cell(self, event: Event) -> None:
        if not self.contexts or self.contexts[-1].close != self.close_table:
            return
        if event.node.name == "tr":
            self.contexts[-1].rows.append([])
        else:
            self.open_context(event, self._close_cell)

    def _close_cell(self, context: Context, end: int) -> None:
        attrs = context.node.attrs
        cell = Cell(context.line.text(), _span(attrs.get("colspan")), _span(attrs.get("rowspan")))
        rows = self.contexts[-1].rows
        if not rows:
            rows.append([])
        rows[-1].append(cell)

    def close_table(self, context: Context, end: int) -> None:
        self.flow.settle()
        write_table(self.flow.writer, context.rows, context.line.start, end)
        self.flow.settle()


def _span(value: str | None) -> int:
    return max(int(value), 1) if value and value.isascii() and value.isdigit() and len(value) < 6 else 1
