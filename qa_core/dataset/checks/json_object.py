"""The JSON object in a model's reply, in spite of what models put around and into it."""

from __future__ import annotations

import json
import re
from typing import Any

_THOUGHTS_END = "</think>"
_STRAY_BACKSLASH = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|\\')
"""Consumes whole escapes first, so what matches as a lone backslash begins none."""
_EATEN = str.maketrans({"\b": "\\b", "\f": "\\f"})
"""No text has these characters: they are ``\\beta`` and ``\\frac`` that a model forgot to escape."""
_MOST_STARTS = 16
"""Opening braces tried, so that a reply of nothing but braces takes no time."""
_DECODER = json.JSONDecoder(strict=False)


def find_object(text: str, key: str) -> dict[str, Any] | None:
    """The first JSON object in ``text`` that has ``key``; else the one that begins at the first brace, if one does.

    A code fence, words around it and a reasoning model's thoughts before it are passed over. LaTeX commands whose
    backslash is not escaped are mended. Never raises.
    """
    text = text.rpartition(_THOUGHTS_END)[2]
    starts = [brace.start() for brace in re.finditer(r"\{", text)][:_MOST_STARTS]
    objects = (_decode(text, start) for start in starts)
    first = next(objects, None)
    # Any other object without the key may be a part of one that was cut.
    return next((found for found in (first, *objects) if found is not None and key in found), first)


def mend_latex(text: str) -> str:
    """``text`` of a JSON string with the LaTeX commands that its escapes have eaten."""
    return text.translate(_EATEN)


def encodable(text: str) -> str:
    """``text`` as a table can hold it: half a surrogate pair as an escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _decode(text: str, start: int) -> dict[str, Any] | None:
    for candidate in (text[start:], _escape_stray(text[start:])):
        try:
            value, _ = _DECODER.raw_decode(candidate)
        except (ValueError, RecursionError):  # not JSON, a number of 5,000 digits, or brackets without end
            continue
        return value if isinstance(value, dict) else None
    return None


def _escape_stray(text: str) -> str:
    return _STRAY_BACKSLASH.sub(lambda match: match[0] if len(match[0]) > 1 else "\\\\", text)
