"""YAML at the top of a text: where it ends, and what it says of the paper. Nothing in it may cost the paper."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from qa_core.corpus.markdown_marks import EMBEDDED_DATA, MAX_HEADING_CHARS, plain_heading

MAX_LINES = 2000
"""Of a block of front matter, both marks included."""

_KEY = r"""[\w."'-]+[ \t]*:(?!//)"""
_FIELD = re.compile(rf"{_KEY}|\{{(?![%{{#])")
_OPENING_LINE = re.compile(rf"{_KEY}|[#{{]")
_LINE = re.compile(rf"{_KEY}|[#}}\]]|[-?:](?:[ \t]|$)|\{{[%{{#]")
"""What stands at the margin of YAML or of a template for it: no sentence begins like this."""

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Values stay as they are spelled, and libyaml reads them ten times as fast as Python does."""
_MAX_YAML_CHARS = 1 << 16
_MAX_BRACKETS = 400
_DEEP_LINE = re.compile(r"(?:[-?:][ \t]+){50}|^[ \t]{200}", re.MULTILINE)
_PLAIN_LINE = re.compile(r"^(title|authors?|date|year)[ \t]*:[ \t]*([^\n]*)", re.MULTILINE | re.I)
_NO_VALUE = frozenset({"~", "null", "true", "false", ">", ">-", "|", "|-"})
"""YAML for nothing and for flags, and what is left of a block of lines when only its first is read."""
_MAX_TITLE_SOURCE = 5 * MAX_HEADING_CHARS
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_UNSTORABLE = re.compile("[\ud800-\udfff\0]")


class Stated(NamedTuple):
    """What a paper says of itself."""

    title: str
    authors: tuple[str, ...]
    year: int | None


def front_matter_end(lines: Sequence[str]) -> int:
    """Lines of the YAML block that opens a text, both marks included; 0 when prose or a list follows the first rule."""
    if len(lines) < 3 or lines[0].rstrip() != "---" or not _OPENING_LINE.match(lines[1]):
        return 0
    has_fields = False
    for i in range(1, min(len(lines), MAX_LINES)):
        line = lines[i].rstrip()
        if line in ("---", "..."):
            return i + 1 if has_fields else 0
        if line[:1] in ("", " ", "\t"):
            continue
        is_field = _FIELD.match(line) is not None and (i == 1 or line[0] != "{")
        if not is_field and not _LINE.match(line):
            return 0
        has_fields = has_fields or is_field
    return 0


def opening_yaml(text: str) -> str:
    """What stands between the marks of the front matter that opens ``text``; empty without one."""
    if not text.startswith("---"):
        return ""
    lines = text.split("\n", MAX_LINES)[:MAX_LINES]
    end = front_matter_end(lines)
    return "\n".join(lines[1 : end - 1]) if end else ""


def stated(yaml_text: str) -> Stated:
    """Title, authors and year from YAML. Templates (``{{ }}``) are none: then single lines are taken as they are."""
    body = EMBEDDED_DATA.sub("", yaml_text)
    try:
        if _is_too_deep(body):
            raise ValueError("longer or nested more deeply than libyaml's stack can bear")
        fields = yaml.load(body, Loader=_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError):
        fields = {key: value.strip().strip("\"'") for key, value in _PLAIN_LINE.findall(body)}
    return stated_in(fields if isinstance(fields, dict) else {})


def stated_in(fields: Mapping[Any, Any]) -> Stated:
    """Title, authors and year from fields of YAML or JSON."""
    fields = {str(key).lower(): value for key, value in fields.items()}
    title = plain_heading(_plain(fields.get("title"))[:_MAX_TITLE_SOURCE])
    years = (year for key in ("year", "date") if (year := _YEAR.search(_plain(fields.get(key)))))
    year = next(years, None)
    authors = _authors(fields.get("authors") or fields.get("author"))
    return Stated(title[:MAX_HEADING_CHARS].rstrip(), authors, int(year.group()) if year else None)


def _is_too_deep(body: str) -> bool:
    if len(body) > _MAX_YAML_CHARS or body.count("[") + body.count("{") > _MAX_BRACKETS:
        return True
    return _DEEP_LINE.search(body) is not None


def _authors(value: object) -> tuple[str, ...]:
    if isinstance(value, dict):
        value = [value]
    people = value if isinstance(value, list) else _people(_plain(value))
    names = (_plain(person.get("name") if isinstance(person, dict) else person) for person in people)
    return tuple(name for name in names if name)


def _people(line: str) -> list[str]:
    """Commas part names only where nothing else does (``A, B``) or in a list in words (``A, B and C``)."""
    people = re.split(r",?\sand\s|;\s?", line)
    is_list_in_words = ";" not in line and "," not in people[-1]
    return re.split(r",?\sand\s|,\s", line) if len(people) == 1 or is_list_in_words else people


def _plain(value: object) -> str:
    """One line of text; empty for a template and for what is no single value."""
    if value is None or isinstance(value, (bool, dict, list)):
        return ""
    line = " ".join(_UNSTORABLE.sub("\ufffd", str(value)).split())
    return "" if line.startswith(("{{", "{%", "{##")) or line.lower() in _NO_VALUE else line
