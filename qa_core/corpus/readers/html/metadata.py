"""Title, authors and year as an HTML page states them: ``<meta>``, JSON-LD, distill's front matter, LaTeXML's names."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import yaml

from qa_core.corpus.readers.html.events import Page, classes

_MAX_FRONT_MATTER = 65_536
"""Characters; YAML is read slowly, and no front matter is longer."""
_YEAR = re.compile(r"(?<!\d)(?:1[6-9]|20)\d\d(?!\d)")
_TITLES = ("citation_title", "dc.title", "dcterms.title", "front.title", "ld.headline", "ltx.title", "h1", "og:title")
_AUTHORS = ("citation_author", "dc.creator", "dcterms.creator", "front.authors", "ld.author", "ltx.author", "author")
_DATES = (
    "citation_publication_date", "citation_date", "citation_online_date", "citation_year", "dc.date", "dcterms.date",
    "dc.date.issued", "front.published", "ld.datePublished", "article:published_time", "date", "ltx.date",
)  # fmt: skip


def read_metadata(page: Page) -> tuple[str, tuple[str, ...], int | None]:
    stated: dict[str, list[str]] = defaultdict(list)
    stack = [page.root]
    while stack:
        node = stack.pop()
        statements = [] if node.name.startswith(("#", "!")) else list(_statements(node))
        for key, value in statements:
            if words := " ".join(value.split()):
                stated[key].append(words)
        if not statements:  # an element is read once, however deep its like are nested in it
            stack.extend(reversed(node.children or ()))
    if len(stated["h1"]) > 1 and stated["title"]:
        del stated["h1"]  # several are chapters, not a title
    title = next((stated[key][0] for key in (*_TITLES, "title") if stated.get(key)), "")
    authors = next((stated[key] for key in _AUTHORS if stated.get(key)), [])
    if len(authors) == 1:
        authors = [name.strip() for name in re.split(r";|, and | and |, (?=\S+ \S)", authors[0]) if name.strip()]
    years = (year for key in _DATES for value in stated.get(key, ()) if (year := _YEAR.search(value)))
    year = next(years, None)
    return title, tuple(dict.fromkeys(authors)), int(year[0]) if year else None


def _statements(node: Any) -> Iterator[tuple[str, str]]:
    """What one element says, under a key that says where it stood."""
    if node.name == "meta":
        key = node.attrs.get("name") or node.attrs.get("property") or ""
        yield key.lower(), node.attrs.get("content") or ""
    elif node.name == "script":
        yield from _script_statements(node)
    elif node.name in ("title", "h1"):
        names = classes(node)
        text = text_of(node)
        yield ("ltx.title" if "ltx_title_document" in names else node.name), text
    elif node.attrs and (names := classes(node)):
        if "ltx_personname" in names:
            yield "ltx.author", text_of(node, stop_at="br")
        elif "ltx_dates" in names:
            yield "ltx.date", text_of(node)


def _script_statements(node: Any) -> Iterator[tuple[str, str]]:
    kind = node.attrs.get("type") or ""
    text = text_of(node)
    if len(text) > _MAX_FRONT_MATTER:
        return
    if kind == "application/ld+json":
        yield from _linked_data(_parse(text))
    elif kind == "text/front-matter" or (kind == "text/json" and getattr(node.parent, "name", "") == "d-front-matter"):
        front = _parse(text)
        if isinstance(front, dict):
            yield "front.title", _string(front.get("title"))
            yield "front.published", _string(front.get("published") or front.get("publishedDate") or front.get("date"))
            yield from (("front.authors", name) for name in _names(front.get("authors")))


def _linked_data(data: Any) -> Iterator[tuple[str, str]]:
    for item in data if isinstance(data, list) else [data]:
        if isinstance(item, dict) and "Article" in _string(item.get("@type")):
            yield "ld.headline", _string(item.get("headline") or item.get("name"))
            yield "ld.datePublished", _string(item.get("datePublished"))
            yield from (("ld.author", name) for name in _names(item.get("author")))


def _parse(text: str) -> Any:
    """JSON or YAML; None for what is neither, for a page is readable without its metadata."""
    try:
        return json.loads(text) if text.lstrip().startswith(("{", "[")) else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError):
        return None


def _names(authors: Any) -> Iterator[str]:
    """Authors are listed as strings, ``{name: ...}``, ``{author: ...}`` or ``{<name>: <address>}``."""
    for author in authors if isinstance(authors, list) else [authors]:
        if not isinstance(author, dict):
            yield _string(author)
        elif "firstName" in author:
            yield f"{_string(author['firstName'])} {_string(author.get('lastName'))}"
        else:
            yield _string(author.get("name") or author.get("author") or next(iter(author), ""))


def _string(value: Any) -> str:
    return str(value) if isinstance(value, str | int | float) or hasattr(value, "isoformat") else ""


def text_of(node: Any, stop_at: str = "") -> str:
    """All text below a node, up to the first element named ``stop_at``."""
    parts: list[str] = []
    stack = list(reversed(node.children or ()))
    while stack:
        child = stack.pop()
        if child.name == stop_at:
            break
        if child.name == "#text":
            parts.append(child.data)
        elif child.name not in ("#comment", "math"):
            stack.extend(reversed(child.children or ()))
    return "".join(parts)
