"""Code of an HTML page, and the small print above and below its lines."""

from __future__ import annotations

import re
from typing import Any

from qa_core.corpus.readers.html.contexts import Context, Contexts

_LANGUAGE = re.compile(
    r"(?:^|\s)(?:language-|lang-|highlight-source-|highlight-|brush:\s*|ltx_lst_language_|sourceCode\s+|src-)([\w+#.-]+)"
)
_ORDINAL = {"st", "nd", "rd", "th"}


class Code(Contexts):
    def enter_in_code(self, node: Any) -> None:
        self.contexts[-1].language = self.contexts[-1].language or language_of(node)

    def close_code(self, context: Context, end: int) -> None:
        self.flow.settle()
        self.flow.writer.code("".join(context.line.parts), context.line.start, end, context.language)

    def close_inline_code(self, context: Context, end: int) -> None:
        words = context.line.text()
        marked = f"`{words}`" if words and "`" not in words and "$" not in words else words
        self.line.add(marked, context.line.start, end)

    def close_script(self, context: Context, end: int) -> None:
        """A power or an index keeps its meaning; footnote marks and ordinals need no sign."""
        words = context.line.text()
        if words and not words.startswith("[") and " " not in words and words not in _ORDINAL:
            words = ("^" if context.node.name == "sup" else "_") + words
        self.line.add(words, context.line.start, end)


def language_of(node: Any) -> str:
    found = _LANGUAGE.search(node.attrs.get("class") or "")
    return found[1] if found else node.attrs.get("data-lang") or ""
