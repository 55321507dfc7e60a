"""What has to be known of a whole HTML page before its first block can be written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from qa_core.corpus.readers.html.events import Page, classes

HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}

_CHROME_TAGS = {
    "audio", "button", "canvas", "d-byline", "distill-footer", "distill-header", "dt-byline", "embed", "form", "iframe",
    "input", "nav", "noscript", "object", "select", "style", "svg", "template", "textarea", "title", "video",
}  # fmt: skip
_CHROME_CLASSES = {
    # Rendered copies of formulas whose source stands beside them.
    "MathJax", "MathJax_CHTML", "MathJax_Display", "MathJax_Preview", "MathJax_SVG", "katex-html", "mjx-chtml",
    "mjx-math", "mwe-math-fallback-image-display", "mwe-math-fallback-image-inline",
    "breadcrumb", "breadcrumbs", "headerlink", "linenos", "ltx_TOC", "ltx_listing_data", "ltx_page_footer",
    "ltx_page_header", "ltx_page_navbar", "mw-editsection", "navbar", "skip-link", "sphinxsidebar", "toc",
}  # fmt: skip
_CHROME_ROLES = {"banner", "contentinfo", "doc-backlink", "doc-toc", "navigation", "search"}
_BACK_LINK = {"footnote-back", "footnote-backref", "reversefootnote"}
_LAYOUT_CONTENT = {*HEADINGS, "figure", "pre", "table"}
_ITEM_TAGS = {"ltx_tag_item", "ltx_tag_itemize", "ltx_tag_enumerate"}
_MARK_LENGTH, _MARK_NODES = 4, 20
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_NOTE_TARGET = re.compile(r"#((?:user-content-)?(?:fn|footnote|endnote|note)[-_:.]?\w+)", re.IGNORECASE)


@dataclass
class Survey:
    """Nodes are remembered by ``id()``: the page outlives its survey."""

    layout_tables: set[int] = field(default_factory=set)
    """Tables that place things on the page, and equations that are set as a table."""
    figures_with_table: set[int] = field(default_factory=set)
    chrome: set[int] = field(default_factory=set)
    note_targets: set[str] = field(default_factory=set)
    main: Any = None
    """The one ``<main>`` of the page, where it holds most of the words."""


def survey(page: Page) -> Survey:
    found = Survey()
    tables: list[Any] = []
    figures: list[Any] = []
    banners: list[Any] = []
    mains: list[tuple[Any, int]] = []
    inside = 0
    words = 0
    for kind, node, _, _ in page.events(is_chrome):
        name = node.name
        if kind == "text":
            words += len(node.data)
        elif kind == "enter":
            if name in _LAYOUT_CONTENT and tables:
                found.layout_tables.add(id(tables[-1]))
            if name == "table":
                tables.append(node)
                found.figures_with_table.update(map(id, figures[-1:]))
            elif name == "figure":
                figures.append(node)
            elif name in ("header", "footer") and not inside:
                banners.append(node)
            elif name == "h1":
                banners.clear()
            elif name == "a" and (target := note_target(node)):
                found.note_targets.add(target)
            inside += name in ("main", "article", "blockquote")
            if name == "main" or node.attrs.get("role") == "main":
                mains.append((node, words))
        else:
            inside -= name in ("main", "article", "blockquote")
            if name == "table":
                tables.pop()
            elif name == "figure":
                figures.pop()
            elif banners and banners[-1] is node:
                found.chrome.add(id(banners.pop()))
            if len(mains) == 1 and mains[0][0] is node and (size := words - mains[0][1]):
                found.main, main_size = node, size
    if len(mains) != 1 or found.main is None or main_size * 2 < words:
        found.main = None
    return found


def is_chrome(node: Any) -> bool:
    """Navigation, controls, scripts and what the page does not show."""
    name, attrs = node.name, node.attrs
    if name in _CHROME_TAGS or (name == "script" and not is_content_script(node)):
        return True
    if not attrs or name in ("html", "body", "math"):
        return False
    names = classes(node)
    if names & _CHROME_CLASSES or attrs.get("role") in _CHROME_ROLES or (attrs.get("id") or "").lower() == "toc":
        return True
    if name == "a" and (names & _BACK_LINK or (attrs.get("href") or "").startswith(("#fnref", "#user-content-fnref"))):
        return True
    if "hidden" in attrs or attrs.get("aria-hidden") == "true" or _HIDDEN.search(attrs.get("style") or ""):
        return not any("mathml" in part for part in names)
    return False


def is_mark(node: Any) -> bool:
    """Numbers of notes and bullets of items that LaTeXML writes out, where markdown has marks of its own."""
    if node.name not in ("span", "sup") or not node.attrs:
        return False
    names = classes(node)
    if names & {"ltx_note_mark", "ltx_tag_note"}:
        return True
    return bool(names & _ITEM_TAGS) and node.parent.name == "li" and _is_short(node)


def _is_short(node: Any) -> bool:
    """No longer than "(iv)"; a longer tag is the term of a described item."""
    stack, length = [node], 0
    for _ in range(_MARK_NODES):
        if not stack:
            break
        child = stack.pop()
        length += len(child.data.strip()) if child.name == "#text" else 0
        stack.extend(child.children or ())
    return length <= _MARK_LENGTH


def is_content_script(node: Any) -> bool:
    """Formulas and bibliographies that a page carries as scripts."""
    kind = (node.attrs.get("type") or "").lower()
    return kind.startswith("math/tex") or kind in ("text/bibtex", "text/bibliography")


def note_target(node: Any) -> str | None:
    """The id of the footnote that a link refers to."""
    target = _NOTE_TARGET.fullmatch(node.attrs.get("href") or "")
    return target[1] if target else None
