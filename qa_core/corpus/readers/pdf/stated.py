"""Title, authors and year as a PDF's metadata or its first page state them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from qa_core.corpus.readers.pdf.blocks import KNOWN, NUMBERED, Block
from qa_core.corpus.readers.pdf.layout import RAISED, RAISED_END, Line
from qa_core.corpus.readers.pdf.text import HYPHEN

MAX_AUTHOR_LINES = 40
"""Below the title of the first page."""

_MACHINE_TITLE = re.compile(r"untitled|microsoft word|.*\.(?:dvi|tex|docx?|pdf|indd|ps|rtf)$|slide \d+", re.IGNORECASE)
_ADDRESS = re.compile(r"<[^<>]*>")
_SEPARATOR = re.compile(rf"{RAISED}[^{RAISED_END}]*{RAISED_END}|[,;&·∗†‡§¶*]|\band\b")
_NAME = re.compile(r"[A-Z][\w.'’-]*(?:\s+(?:[a-z]{2,3}\s+)?[A-Z][\w.'’-]*){1,3}")
_INSTITUTION = re.compile(
    r"universit|institut|department|laborator|school|college|center|centre|research|group|inc\b|ltd|corp|street|"
    r"avenue|hospital|academy|faculty|consortium|collaboration|usa|china|germany|conference|journal|proceedings|society|association|fellow|member|note|director|inria",
    re.IGNORECASE,
)
_YEAR = r"(?<!\d)((?:19|20)\d\d)(?!\d)"
_YEARS = [
    re.compile(rf"{words}[^\n]{{0,60}}?{_YEAR}", re.IGNORECASE | re.MULTILINE)
    for words in (r"(?:©|copyright|\(c\))", r"^\W{0,3}(?:published|dated|accepted|received|preprint|proceedings|draft)")
]


def title(blocks: Sequence[Block], metadata: Mapping[str, str]) -> str:
    """The stated title, and the largest heading of the first page marked as it."""
    first_page = blocks[0].pages[0] if blocks else 0
    headings = [
        block
        for block in blocks
        if block.kind == "heading" and block.pages[0] == first_page and not _is_section(block.lines[0].text)
    ]
    found = max(headings, key=lambda block: block.lines[0].size, default=None)
    if found:
        found.kind = "title"
        _settle_front_matter(blocks, found)
    stated = " ".join(metadata.get("Title", "").split())
    if len(stated) > 4 and not _MACHINE_TITLE.match(stated):
        return stated
    return " ".join(_plain(line.text) for line in found.lines).replace(f"{HYPHEN} ", "") if found else ""


def _settle_front_matter(blocks: Sequence[Block], found: Block) -> None:
    """Names of authors are as large as headings, but no section begins with them."""
    below = blocks[next(i for i, block in enumerate(blocks) if block is found) + 1 :]
    for block in below:
        if block.kind == "heading":
            if block.pages[0] != found.pages[0] or _is_section(block.lines[0].text):
                return
            block.kind = "paragraph"


def authors(blocks: Sequence[Block], metadata: Mapping[str, str]) -> tuple[str, ...]:
    stated = [
        " ".join(name.split()) for name in re.split(r"[,;&]|\band\b", _ADDRESS.sub("", metadata.get("Author", "")))
    ]
    names = tuple(name for name in stated if " " in name and not _INSTITUTION.search(name))
    return names or tuple(dict.fromkeys(_names_below_title(blocks)))


def year(first_page: Sequence[Line]) -> int | None:
    """A year that stands behind a word such as ``published``; the date of the file says nothing about the paper."""
    text = "\n".join(line.text for line in first_page)
    for pattern in _YEARS:
        if found := pattern.search(text):
            return int(found.group(1))
    return None


def _names_below_title(blocks: Sequence[Block]) -> Iterator[str]:
    """Lines between title and first section that are nothing but names."""
    at = next((i for i, block in enumerate(blocks) if block.kind == "title"), None)
    if at is None:
        return
    below = [line for block in blocks[at + 1 : at + 1 + MAX_AUTHOR_LINES] for line in block.lines][:MAX_AUTHOR_LINES]
    for line in below:
        if _is_section(line.text) or line.page != blocks[at].pages[0] or len(line.text) > 200:
            return
        pieces = [piece.strip() for piece in _SEPARATOR.split(line.text) if piece.strip(" .")]
        if pieces and not _INSTITUTION.search(line.text) and all(_NAME.fullmatch(piece) for piece in pieces):
            yield from pieces


def _is_section(text: str) -> bool:
    words = text.strip().rstrip(".:")
    return bool(KNOWN.fullmatch(words) or NUMBERED.match(text) or words.lower().startswith("abstract"))


def _plain(text: str) -> str:
    return re.sub(rf"{RAISED}[^{RAISED_END}]*{RAISED_END}", "", text).strip()
