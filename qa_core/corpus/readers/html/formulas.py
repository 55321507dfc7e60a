"""Formulas of an HTML page: distill's and MathJax's elements, MathML, and equations that are set as tables."""

from __future__ import annotations

from typing import Any

from qa_core.corpus.readers.html.contexts import Context, Contexts
from qa_core.corpus.readers.html.events import Event
from qa_core.corpus.readers.html.math import inline_math, plain_style


class Formulas(Contexts):
    def enter_formula(self, event: Event) -> None:
        self.open_context(event, self._close_mathml if event.node.name == "math" else self._close_tex, raw=True)

    def formula(self, latex: str, display: bool, start: int, end: int) -> None:
        if display and not self.contexts:
            self.flow.settle()
            self.flow.writer.math(latex, start, end)
        else:
            self.line.add(inline_math(latex), start, end)

    def _close_tex(self, context: Context, end: int) -> None:
        attrs = context.node.attrs
        display = "block" in attrs or "mode=display" in (attrs.get("type") or "")
        self.deliver("".join(context.line.parts), display, context.line.start, end)

    def _close_mathml(self, context: Context, end: int) -> None:
        attrs = context.node.attrs
        latex = attrs.get("alttext") or _annotation(context.node)
        if latex:
            self.deliver(plain_style(latex), attrs.get("display") == "block", context.line.start, end)
        else:
            self.line.add(" ".join("".join(context.line.parts).split()), context.line.start, end)

    def deliver(self, latex: str, display: bool, start: int, end: int) -> None:
        if self.contexts and self.contexts[-1].close == self.close_equation:
            self.contexts[-1].latex.append(latex)
            self.line.reach(end)
        elif self.contexts and self.contexts[-1].raw:
            self.line.add(inline_math(latex), start, end)
        else:
            self.formula(latex, display, start, end)

    def close_equation(self, context: Context, end: int) -> None:
        number = context.line.text().strip("() ")
        rows = [row.strip() for row in " ".join(context.latex).split("\n") if row.strip()]
        body = " \\\\\n".join(rows) + (f" \\tag{{{number}}}" if number and " " not in number else "")
        if rows:
            self.flow.settle()
            self.flow.writer.math(body, context.line.start, end)
        else:
            self.flow.line.join(context.line)


def _annotation(node: Any) -> str:
    """The LaTeX that a MathML formula carries beside its tree."""
    stack = list(node.children or ())
    while stack:
        child = stack.pop()
        if child.name == "annotation" and child.attrs.get("encoding") == "application/x-tex":
            return "".join(text.data for text in child.children or () if text.name == "#text")
        stack.extend(child.children or ())
    return ""
