"""The marks by which markdown tells its blocks apart: one line, or the first line of a block, at a time.

Every pattern is linear: no two parts next to each other can match the same characters in more than one way.
"""

from __future__ import annotations

import re

MAX_HEADING_CHARS = 300
"""A longer "heading" is a paragraph with a stray mark, and its text must not vanish into a section path."""

LIST_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)")
FIRST_LIST_ITEM = re.compile(r"[ \t]*(?:[-*+]|1[.)])[ \t]")
"""Only these may interrupt a paragraph: a wrapped line that starts with "2019." is no list."""
FENCE = re.compile(r"[ \t]*(`{3,}(?=[^`]*$)|~{3,})")
SETEXT_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*$")
FOOTNOTE = re.compile(r" {0,3}\[\^[^\]\s]{1,80}\]:")
GRID_BORDER = re.compile(r"[ \t]*\+(?:[-=:]+\+)+[ \t]*$")
EMBEDDED_DATA = re.compile(r";base64,[A-Za-z0-9+/=]{256,}")
HTML_BLOCK = re.compile(r"[ \t]*<(table|pre|figure)\b", re.IGNORECASE)
HTML_BLOCK_KIND = {"table": "table", "pre": "code", "figure": "caption"}
HTML_TAG = {name: re.compile(rf"<(/?){name}\b", re.IGNORECASE) for name in HTML_BLOCK_KIND}

_DELIMITER_CELL = re.compile(r":?-+:?")
_MATH_ENVIRONMENT = re.compile(
    r"\\begin\{((?:equation|(?:fl|x|xx)?align|alignat|gather|multline|(?:IEEE)?eqnarray|displaymath|dmath|subequations)\*?)\}"
)
_AFTER_MATH = re.compile(r"[.,;]?\s*(?:\([\w.]+\)|\{[#:][^{}]*\})?[.,;]?")
_REFERENCES = re.compile(
    r"(?:[\dIVX]+\.?\s)?\s*(?:references|bibliography|works cited|literature cited|参考文献)(?: and notes)?\s*:?",
    re.IGNORECASE,
)
_REFERENCE_ENTRY = re.compile(r"\s*\[\d{1,3}\]:?\s")
_DATED = re.compile(r"\b(?:19|20)\d\d\b|https?://|arXiv", re.IGNORECASE)
_CAPTION = re.compile(
    r"[ \t]*[*_]{0,3}(?:Supplementary |Extended Data |Appendix )?"
    r"(?:Figure|FIGURE|Fig\.?|FIG\.?|Table|TABLE|Tab\.|Algorithm|Listing|Scheme|Box|[图圖図表])"
    r"[ \t]*(?:[A-Z]?\d+[a-z]?(?:[.-]\d+)*|[IVXLC]+)[*_]{0,3}(?:[ \t]*[:.|—–：]|[ \t]+-[ \t]|[ \t]+(?=[A-Z])|[ \t]*$)",
    re.MULTILINE,
)
_IMAGES = re.compile(r"(?:\s*!\[[^\]]*\](?:\([^()\n]*\)|\[[^\]\n]*\])(?:\{[^{}]*\})?)+\s*")
_QUOTED = re.compile(
    r"^[ \t]*>[> \t]*(?:(?P<table>\|?[ \t]*:?-+:?[ \t]*\|)|(?P<code>```|~~~)|(?P<math>\$\$))", re.MULTILINE
)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_ATTRIBUTES = re.compile(r"\{[#.:][^{}]*\}$")


def atx_level(line: str) -> int:
    """1 to 6 for ``# heading`` to ``###### heading``, 0 for any other line."""
    stripped = line.lstrip(" ")
    if len(line) - len(stripped) > 3 or not stripped.startswith("#") or len(line) > MAX_HEADING_CHARS:
        return 0
    rest = stripped.lstrip("#")
    level = len(stripped) - len(rest)
    return level if level <= 6 and (not rest or rest[0].isspace()) else 0


def is_thematic_break(line: str) -> bool:
    marks = line.strip()
    if marks[:1] not in ("-", "*", "_") or marks.strip(f"{marks[0]} \t"):
        return False
    return marks.count(marks[0]) >= 3


def is_delimiter_row(line: str) -> bool:
    """Whether ``line`` is what GFM puts between a table's header and its rows."""
    row = line.strip()
    # The cheap test first: nearly every line that is asked about is prose.
    return row[:1] in ("|", ":", "-") and "|" in row and all(map(_is_delimiter_cell, row.strip("|").split("|")))


def _is_delimiter_cell(cell: str) -> bool:
    return _DELIMITER_CELL.fullmatch(cell.strip()) is not None


def math_closer(line: str) -> str | None:
    """What ends the display math that ``line`` opens; None when it opens none."""
    line = line.lstrip()
    if line.startswith("$$"):
        return "$$"
    if line.startswith(r"\["):
        return r"\]"
    environment = _MATH_ENVIRONMENT.match(line)
    return rf"\end{{{environment.group(1)}}}" if environment else None


def ends_math(after: str) -> bool:
    """Whether ``after``, which follows a closer on its line, may follow display math: a mark, a number or a label."""
    return _AFTER_MATH.fullmatch(after.strip()) is not None


def is_caption(text: str, start: int, end: int) -> bool:
    """Whether the paragraph ``text[start:end]`` is a caption, with or without its images, or nothing but images."""
    images = _IMAGES.match(text, start, end)
    if images and images.end() == end:
        return True
    return _CAPTION.match(text, images.end() if images else start, end) is not None


def quoted_kind(text: str, start: int, end: int) -> str | None:
    """``table``, ``code`` or ``math`` when the block quote ``text[start:end]`` holds such a block."""
    found = _QUOTED.search(text, start, end)
    return found.lastgroup if found else None


def is_reference_entry(text: str, start: int, end: int) -> bool:
    """Whether ``text[start:end]`` is an entry such as ``[7] A. Author. Title. 2020.``."""
    return bool(_REFERENCE_ENTRY.match(text, start, end) and _DATED.search(text, start, end))


def unclosed_html(text: str) -> int:
    """Start of the line of the first comment, table, listing or figure that ``text`` opens and does not close, or 0."""
    openers = [_unclosed_comment(text), *(_unclosed_element(text, tag) for tag in HTML_TAG.values())]
    first = min((opener for opener in openers if opener >= 0), default=0)
    return text.rfind("\n", 0, first) + 1


def _unclosed_comment(text: str) -> int:
    opener = text.rfind("<!--")
    return opener if opener >= 0 and text.find("-->", opener) < 0 else -1


def _unclosed_element(text: str, tag: re.Pattern[str]) -> int:
    depth, opener = 0, -1
    for found in tag.finditer(text):
        if found.group(1):
            depth = max(0, depth - 1)
        else:
            opener = opener if depth else found.start()
            depth += 1
    return opener if depth else -1


def is_references_title(title: str) -> bool:
    return _REFERENCES.fullmatch(title) is not None


def plain_heading(line: str) -> str:
    """A heading's words without closing marks, attributes, links, tags and emphasis."""
    title = line.strip()
    unclosed = title.rstrip("#")
    if unclosed != title and unclosed[-1:].isspace():
        title = unclosed
    title = _ATTRIBUTES.sub("", title.strip())
    title = _TAG.sub("", _LINK.sub(r"\1", title))
    return " ".join(title.replace("**", "").replace("__", "").replace("`", "").split())
