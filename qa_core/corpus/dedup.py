"""Exact duplicates among documents, whatever their line breaks and spacing."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable


def content_hash(text: str) -> str:
    """SHA-256 of ``text`` in Unicode NFC with every run of white space as one space."""
    return hashlib.sha256(" ".join(unicodedata.normalize("NFC", text).split()).encode()).hexdigest()


def find_duplicates(hashes: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The later sources of equal content, each with the first one; ``hashes`` has (source, content hash) pairs."""
    first: dict[str, str] = {}
    return {source: first[digest] for source, digest in sorted(hashes) if first.setdefault(digest, source) != source}
