"""reStructuredText to a docutils tree, without reading other files, running code or printing.

Every directive, known to docutils or not, becomes a ``directive`` element with its name, argument, options and lines,
so that what Sphinx and its extensions add keeps its text.
"""

from __future__ import annotations

import re
from typing import Any

from qa_core.corpus.documents import DocumentRejected
from qa_core.corpus.readers.restructuredtext.names import PROSE, VERBATIM

MAX_DIRECTIVE_NAMES = 1000
"""Docutils keeps every registered name for the life of the process."""
MAX_TABLE_WIDTH = 2000
"""Characters; docutils' time for a grid table grows with the square of its width."""

_DIRECTIVE = re.compile(r"\.\. {1,80}(?:\|[^|\n]{1,200}\| {1,80})?([\w.+:-]{1,80}?) ?::(?![\w:])")
_WIDE_TABLE = re.compile(rf"\+[-=+]{{{MAX_TABLE_WIDTH}}}")
_OPTION = re.compile(r":([A-Za-z][\w.+ -]{0,60}):(?:[ \t]+|$)")
_CODE_POINT = re.compile(r"(?:0x|x|\\x|U\+|u|\\u|&#x)([0-9a-fA-F]{1,6});?$")
# Docutils counts them as line breaks, this package does not.
_ODD_LINE_BREAKS = dict.fromkeys(map(ord, "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), " ")


def parse(text: str) -> Any:
    """The document element; raises :class:`DocumentRejected`."""
    try:
        from docutils import frontend, utils
        from docutils.parsers.rst import Parser, directives
    except ImportError as error:
        raise DocumentRejected(
            "reader_missing", "reStructuredText needs docutils: pip install 'lectern[readers]'"
        ) from error

    names = {name.lower() for name in _DIRECTIVE.findall(text)}
    if len(names) > MAX_DIRECTIVE_NAMES:
        raise DocumentRejected("damaged", f"{len(names)} different directives")
    if wide := _WIDE_TABLE.search(text):
        raise DocumentRejected("damaged", f"table wider than {MAX_TABLE_WIDTH} characters at offset {wide.start()}")
    keep_all = _directive_class()
    for name in names:
        directives.register_directive(name, keep_all)
    parser = Parser(inliner=_Verbatim())
    settings = frontend.get_default_settings(Parser)
    settings.update(
        {
            "report_level": 5, "halt_level": 6, "warning_stream": False, "file_insertion_enabled": False,
            "raw_enabled": False, "line_length_limit": len(text) + 1,
        },
        frontend.OptionParser(),
    )  # fmt: skip
    document = utils.new_document("paper", settings)
    try:
        parser.parse(text.translate(_ODD_LINE_BREAKS), document)
    except RecursionError as error:
        raise DocumentRejected("damaged", "reStructuredText nested too deeply") from error
    return document


class _Verbatim:
    """In the place of docutils' inline parser: leaves the markup as it stands."""

    def init_customizations(self, settings: Any) -> None:
        """Docutils calls it before the first paragraph."""

    def adjust_uri(self, uri: str) -> str:
        return uri

    def parse(self, text: str, lineno: int, memo: Any, parent: Any) -> tuple[list[Any], list[Any]]:
        from docutils import nodes

        return [nodes.Text(text)], []


def _directive_class() -> Any:
    from docutils import nodes
    from docutils.parsers.rst import Directive, states

    class KeepAll(Directive):
        has_content = True

        def run(self) -> list[Any]:
            first = self.block_text.split("\n", 1)[0]
            lines = list(self.content)
            has_argument = bool(lines) and self.name.lower() not in PROSE and not first.rstrip().endswith("::")
            argument = lines[0].strip() if has_argument else ""
            options, start = _options(lines, 1 if argument else 0)
            if isinstance(self.state, states.SubstitutionDef):
                words = _replacement(self.name.lower(), " ".join(line.strip() for line in lines))
                return [nodes.Text(words)] if words else []
            element = nodes.Element(
                "\n".join(lines[start:]), name=self.name.lower(), argument=argument, options=options
            )
            element.tagname = "directive"
            element.line = self.lineno
            if self.name.lower() not in VERBATIM:
                self.state.nested_parse(self.content[start:], self.content_offset + start, element)
            return [element]

    return KeepAll


def _options(lines: list[str], start: int) -> tuple[dict[str, str], int]:
    """The ``:name: value`` lines from ``start`` on, and the line after them."""
    options: dict[str, str] = {}
    name = ""
    at = start
    while at < len(lines) and lines[at].strip():
        if found := _OPTION.match(lines[at]):
            name = found.group(1)
            options[name] = lines[at][found.end() :].strip()
        elif name and lines[at][:1].isspace():
            options[name] += " " + lines[at].strip()
        else:
            break
        at += 1
    return options, at


def _replacement(directive: str, text: str) -> str:
    """What a substitution puts in; empty for images and dates, whose name is shown instead."""
    if directive != "unicode":
        return text if directive == "replace" else ""
    words = text.split(" .. ", 1)[0].split()
    return "".join(map(_character, words))


def _character(word: str) -> str:
    point = _CODE_POINT.match(word)
    return chr(int(point.group(1), 16)) if point and int(point.group(1), 16) < 0xD800 else word
