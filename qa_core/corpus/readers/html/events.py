"""HTML to a balanced sequence of events, each with the characters of the file it was made from.

The parser recovers from any tag soup the way browsers do and knows where elements and texts begin. Where they end is
found here, by following the closing tags in the source.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from qa_core.corpus.documents import DocumentRejected

_TAG_OR_COMMENT = re.compile(r"<(?=[A-Za-z/!?])")
# Possessive, so that a tag without end costs one pass over the stretch it is looked for in.
_OPENING_TAG = re.compile(r"<[A-Za-z][^\s/>]*+(?:[^>=]++|=\s*+\"[^\"]*+\"|=\s*+'[^']*+'|=)*+>")
_CLOSING_TAG = re.compile(r"\s*+</([A-Za-z][^\s/>]*+)[^>]*+>")


class Event(NamedTuple):
    """``source[start:end]`` is the element up to here for "leave", its opening tag for "enter", and a text."""

    kind: Literal["enter", "leave", "text"]
    node: Any
    start: int
    end: int


class Page:
    """A parsed page; nodes have ``name``, ``attrs``, ``children`` and, where the source has them, an offset."""

    def __init__(self, source: str) -> None:
        try:
            from justhtml import JustHTML
        except ImportError as error:
            raise DocumentRejected(
                "reader_missing", "reading HTML needs justhtml: pip install 'lectern[readers]'"
            ) from error
        try:
            self.root = JustHTML(source, sanitize=False, track_node_locations=True).root
        except RecursionError as error:
            raise DocumentRejected("damaged", "elements nested too deeply") from error
        self.source = source
        self._origins = sorted(node.origin_offset for node in self.nodes() if node.origin_offset is not None)

    def nodes(self) -> Iterator[Any]:
        stack = [self.root]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children or ()))

    def events(self, skip: Callable[[Any], bool] = lambda node: False) -> Iterator[Event]:
        """Document order; the subtree of a node for which ``skip`` holds is left out."""
        position = 0
        stack: list[tuple[Any, int]] = [(self.root, -1)]
        while stack:
            node, start = stack.pop()
            if start >= 0:
                closing = _CLOSING_TAG.match(self.source, position)
                if closing is not None and closing[1].lower() == node.name:
                    position = closing.end()
                yield Event("leave", node, start, max(position, start))
            elif node.name == "#text":
                start, position = self._text_span(node)
                yield Event("text", node, start, position)
            elif not node.name.startswith("!") and node.name != "#comment" and not skip(node):
                start, position = self._opening_span(node, position)
                yield Event("enter", node, start, position)
                stack.append((node, start))
                stack.extend((child, -1) for child in reversed(node.children or ()))

    def _text_span(self, node: Any) -> tuple[int, int]:
        start = node.origin_offset
        bound = self._next_origin(start)
        tag = _TAG_OR_COMMENT.search(self.source, start, bound)
        end = tag.start() if tag else bound
        if end < bound and html.unescape(self.source[start:end]) != node.data:
            end = bound  # the parser joined texts across a tag that opens nothing
        return start, end

    def _opening_span(self, node: Any, position: int) -> tuple[int, int]:
        """Elements that the source does not spell out, such as a left out ``<tbody>``, have no extent."""
        start = node.origin_offset
        if start is None:
            return position, position
        tag = _OPENING_TAG.match(self.source, start, self._next_origin(start))
        return start, tag.end() if tag else start

    def _next_origin(self, start: int) -> int:
        following = bisect_right(self._origins, start)
        return self._origins[following] if following < len(self._origins) else len(self.source)


def classes(node: Any) -> set[str]:
    return set((node.attrs.get("class") or "").split())
