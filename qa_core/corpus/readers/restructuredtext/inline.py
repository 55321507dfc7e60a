"""Inline markup of reStructuredText to markdown, in one pass over the text of a paragraph.

Docutils' own inline parser looks at the rest of the paragraph again for every mark, so a hostile paragraph would hold
a worker for hours. Roles are not resolved either: a paper's ``:ref:`` or ``:cite:`` is meant for Sphinx.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SPECIAL = re.compile(r"\\|``|`|\*\*|\*|:[A-Za-z][\w.+-]{0,40}(?::[\w.+-]{1,40}){0,2}:`|\||\[|_")
_FOOTNOTE = re.compile(r"\[(\d{1,9}|#[\w.-]{0,100}|\*)\]_(?!\w)")
_CITATION = re.compile(r"\[([A-Za-z][\w.+:-]{0,100})\]_(?!\w)")
_SUBSTITUTION = re.compile(r"\|([^|\s](?:[^|\n]{0,98}[^|\s])?)\|_{0,2}")
_TARGET = re.compile(r"\s*<([^<>]{0,2000})>$")
_ROLE_AFTER = re.compile(r":([A-Za-z][\w.+:-]{0,80}):")
_CODE_ROLES = frozenset({"code", "literal", "file", "samp", "command", "program", "option", "envvar", "kbd", "makevar"})
_REFERENCE_ROLES = frozenset({"cite", "citep", "citet", "footcite", "eq"})
_API_PREFIXES = ("py:", "c:", "cpp:", "js:", "rst:")
_API_ROLES = frozenset({"class", "func", "meth", "mod", "attr", "data", "exc", "obj", "const", "type"})


class Inline:
    """Inline markup with what the document defines elsewhere: substitutions, and the order of numberless footnotes."""

    def __init__(self, substitutions: Mapping[str, str]) -> None:
        self._substitutions = substitutions
        self._numberless = {"#": 0, "*": 0}

    def markdown(self, text: str) -> str:
        out: list[str] = []
        missing: set[str] = set()
        at = 0
        while found := _SPECIAL.search(text, at):
            out.append(text[at : found.start()])
            piece, at = self._markup(text, found, missing)
            out.append(piece)
        out.append(text[at:])
        return "".join(out)

    def footnote_id(self, mark: str) -> str:
        """``1`` of ``[1]``, ``name`` of ``[#name]``; those without a name are counted."""
        if mark in self._numberless:
            self._numberless[mark] += 1
            return f"{'auto' if mark == '#' else 'symbol'}{self._numberless[mark]}"
        return mark.lstrip("#")

    def _markup(self, text: str, found: re.Match[str], missing: set[str]) -> tuple[str, int]:
        """What stands for the mark at ``found`` and where the text goes on; ``missing`` are closers not found."""
        mark, start, end = found.group(), found.start(), found.end()
        if mark == "\\":
            return _escaped(text, end)
        if mark == "|":
            return self._substituted(text, start)
        if mark == "[":
            return self._bracket(text, start)
        if mark == "_":
            return _underscore(text, start)
        closer = "`" if mark.startswith(":") else mark
        stop = -1 if closer in missing else text.find(closer, end)
        if stop < 0:
            missing.add(closer)
        if stop <= end or text[end].isspace() or text[stop - 1].isspace() or not _may_open(text, start):
            return mark, end
        body, stop = text[end:stop], stop + len(closer)
        if mark in ("*", "**"):
            return f"{mark}{body}{mark}", stop
        if mark == "``":
            return _code(body), stop
        role = mark[1:-2]
        if not role and (after := _ROLE_AFTER.match(text, stop)):
            role, stop = after.group(1), after.end()
        while text[stop : stop + 1] == "_" and mark == "`":
            role, stop = role or "link", stop + 1
        return _interpreted(body, role.lower()), stop

    def _substituted(self, text: str, start: int) -> tuple[str, int]:
        found = _SUBSTITUTION.match(text, start)
        if not found:
            return "|", start + 1
        name = found.group(1)
        return self._substitutions.get(" ".join(name.lower().split()), name), found.end()

    def _bracket(self, text: str, start: int) -> tuple[str, int]:
        if found := _FOOTNOTE.match(text, start):
            return f"[^{self.footnote_id(found.group(1))}]", found.end()
        if found := _CITATION.match(text, start):
            return f"[{found.group(1)}]", found.end()
        return "[", start + 1


def _escaped(text: str, at: int) -> tuple[str, int]:
    """An escaped space is nothing; what markdown would read as markup stays escaped."""
    character = text[at : at + 1]
    if not character or character.isspace():
        return "", at + 1
    return f"\\{character}" if character in "*`_\\|[$" else character, at + 1


def _underscore(text: str, start: int) -> tuple[str, int]:
    """The underscore that makes a word a link is no text; one inside a name is."""
    end = start + 1
    while text[end : end + 1] == "_":
        end += 1
    before, after = text[start - 1 : start], text[end : end + 1]
    is_link = before.isalnum() and end - start <= 2 and not after.isalnum() and start > 0
    return "" if is_link else text[start:end], end


def _may_open(text: str, start: int) -> bool:
    before = text[start - 1] if start else " "
    return not before.isalnum()


def _interpreted(body: str, role: str) -> str:
    if role == "math":
        return f"${' '.join(body.split())}$"
    if role in ("sup", "superscript"):
        return f"^{body}"
    if role in ("sub", "subscript"):
        return f"_{body}"
    shown, target = body, ""
    if (bracket := body.rfind("<")) > 0 and (found := _TARGET.search(body, bracket - 1)):
        shown, target = body[: found.start()].rstrip() or found.group(1), found.group(1)
    if role == "link":
        return f"[{shown}]({target})" if "://" in target else shown
    if role in _REFERENCE_ROLES or role.startswith("cite:"):
        return f"({shown})" if role == "eq" else f"[{shown}]"
    if role in _CODE_ROLES:
        return _code(body)
    if role in _API_ROLES or role.startswith(_API_PREFIXES):
        return _code(shown.rsplit(".", 1)[-1] if shown.startswith("~") else shown.lstrip("!"))
    return shown if role else f"*{body}*"


def _code(body: str) -> str:
    body = " ".join(body.split())
    return f"`` {body} ``" if "`" in body else f"`{body}`"
