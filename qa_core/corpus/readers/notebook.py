"""Jupyter notebooks, format 2 to 4: prose as it is, code as fences, outputs only as far as they are text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from qa_core.corpus.documents import DocumentRejected, Rendered
from qa_core.corpus.front_matter import front_matter_end, opening_yaml, stated, stated_in
from qa_core.corpus.markdown import parse_blocks
from qa_core.corpus.markdown_marks import EMBEDDED_DATA, FENCE
from qa_core.corpus.readers.decoding import decode
from qa_core.corpus.readers.rendering import MarkdownWriter

MAX_OUTPUT_CHARS = 4000
"""Of one output; logs and arrays beyond it are cut, with a line that says how much."""

_UNSTORABLE = re.compile("[\ud800-\udfff\0]")  # JSON may escape half a surrogate pair; UTF-8 has no bytes for it
_TERMINAL_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_INLINE_DATA = re.compile(r"data:[\w.+/-]{1,80};base64,[A-Za-z0-9+/=]*")
_LANGUAGE = re.compile(r"[\w+#.-]{1,30}")
_RAW_LANGUAGES = {"text/latex": "latex", "text/html": "html", "text/restructuredtext": "rst", "text/x-rst": "rst"}


def read(data: bytes) -> Rendered:
    """The cells in order; spans are cell numbers from 1. Images and other binary outputs are left out."""
    notebook = _parse(decode(data))
    cells = _cells(notebook)
    writer = MarkdownWriter("cell")
    for number, cell in enumerate(cells, start=1):
        if number == 1 and (front_matter := _front_matter(cell)):
            writer.block(front_matter, number, number)
            continue
        for block, language in _blocks(cell, _language(notebook)):
            text = block.replace("\r", "\n")
            if language is None:
                writer.block(text, number, number)
            else:
                writer.code(text, number, number, language)
    text = writer.text()
    if not text:
        raise DocumentRejected("whitespace_only", f"{len(cells)} cells without text")
    named, opening = stated_in(_mapping(notebook.get("metadata"))), stated(opening_yaml(text))
    return Rendered(
        text,
        named.title or opening.title,
        named.authors or opening.authors,
        named.year or opening.year,
        writer.source_map(),
    )


def _parse(text: str) -> dict[str, Any]:
    try:
        notebook = json.loads(text)
    except RecursionError as error:
        raise DocumentRejected("damaged", "JSON nested too deeply") from error
    except ValueError as error:  # bad JSON, or a number with thousands of digits
        raise DocumentRejected("damaged", f"no JSON: {error}") from error
    if not isinstance(notebook, dict):
        raise DocumentRejected("damaged", "no notebook: the JSON is not an object")
    return notebook


def _cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Format 4 has the cells at the top, older ones in worksheets."""
    cells = notebook.get("cells")
    if cells is None and isinstance(sheets := notebook.get("worksheets"), list):
        cells = [cell for sheet in sheets for cell in _mapping(sheet).get("cells") or []]
    if not isinstance(cells, list):
        raise DocumentRejected("damaged", "no notebook: neither 'cells' nor 'worksheets' is a list")
    return [_mapping(cell) for cell in cells]


def _blocks(cell: dict[str, Any], language: str) -> Iterator[tuple[str, str | None]]:
    """Text of each block with its fence's language; None for what is markdown already."""
    source = _text(cell.get("source", cell.get("input")))
    match cell.get("cell_type"):
        case "markdown":
            yield _closed(_INLINE_DATA.sub("", source)), None
        case "heading":
            level = cell.get("level")
            marks = "#" * min(max(level, 1), 6) if isinstance(level, int) else "#"
            yield f"{marks} {' '.join(source.split())}", None
        case "code":
            yield source, _code_language(cell.get("language")) or language
            outputs = cell.get("outputs")
            for output in outputs if isinstance(outputs, list) else []:
                yield from _output(_mapping(output))
        case _:
            mimetype = _mapping(cell.get("metadata")).get("raw_mimetype", _mapping(cell.get("metadata")).get("format"))
            yield source, _RAW_LANGUAGES.get(_text(mimetype), "") if mimetype != "text/markdown" else None


def _output(output: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    kind = output.get("output_type")
    if kind == "stream":
        yield _cut(_printed(_text(output.get("text")))), ""
    elif kind in ("error", "pyerr"):
        yield _cut(_printed(f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}")), ""
    elif kind in ("execute_result", "display_data", "pyout"):
        shown = {**output, **_mapping(output.get("data"))}
        if markdown := _text(shown.get("text/markdown")):
            yield _closed(_INLINE_DATA.sub("", _cut(markdown))), None
        elif latex := _text(shown.get("text/latex", shown.get("latex"))):
            yield _cut(latex), None if latex.lstrip().startswith("$") else "latex"
        elif not any(key.startswith("image/") or key in ("png", "jpeg", "svg") for key in shown):
            yield _cut(_printed(_text(shown.get("text/plain", shown.get("text"))))), ""


def _printed(text: str) -> str:
    """As a terminal shows it: no colours, and of a progress bar its last state."""
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in _TERMINAL_COLOUR.sub("", text).split("\n"))


def _cut(text: str) -> str:
    if len(text) <= MAX_OUTPUT_CHARS:
        return text
    return f"{text[:MAX_OUTPUT_CHARS]}\n[{len(text) - MAX_OUTPUT_CHARS} more characters of output]"


def _closed(markdown: str) -> str:
    """A fence that is open at a cell's end would swallow the next cells; a cell ends it."""
    if "```" not in markdown and "~~~" not in markdown:
        return markdown
    body = EMBEDDED_DATA.sub("", markdown.replace("\r", "\n"))  # such data would part the block that it stands in
    *_, last = parse_blocks(f"{body}\n\nNext cell.")
    fence = _open_fence(body[last.start :]) if last.start < len(body) else ""
    return f"{markdown}\n{fence}" if fence else markdown


def _open_fence(block: str) -> str:
    """The mark of the fence that the last lines of ``block`` are in."""
    fence = ""
    for line in block.split("\n"):
        if not fence and (opener := FENCE.match(line)):
            fence = opener.group(1)
        elif fence and len(line.strip()) >= len(fence) and not line.strip().strip(fence[0]):
            fence = ""
    return fence


def _front_matter(cell: dict[str, Any]) -> str:
    """A raw cell that is YAML between ``---`` lines and nothing else."""
    source = _text(cell.get("source")).replace("\r", "\n").strip()
    lines = source.split("\n")
    return source if cell.get("cell_type") == "raw" and front_matter_end(lines) == len(lines) else ""


def _language(notebook: dict[str, Any]) -> str:
    metadata = _mapping(notebook.get("metadata"))
    kernel, info = _mapping(metadata.get("kernelspec")), _mapping(metadata.get("language_info"))
    return _code_language(info.get("name")) or _code_language(kernel.get("language"))


def _code_language(name: object) -> str:
    return name.lower() if isinstance(name, str) and _LANGUAGE.fullmatch(name) else ""


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """A notebook's string may be a list of lines; what is neither has no text."""
    if isinstance(value, list):
        value = "".join(part for part in value if isinstance(part, str))
    if value is None or isinstance(value, (dict, bool)):
        return ""
    return _UNSTORABLE.sub("\ufffd", str(value)).replace("\r\n", "\n")
