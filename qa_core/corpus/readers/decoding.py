"""Bytes to text: UTF-8 with every line break as ``\\n``, or the reason why not."""

from __future__ import annotations

from qa_core.corpus.documents import DocumentRejected

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def decode(data: bytes) -> str:
    """The text in ``data``, without byte order mark; raises :class:`DocumentRejected`."""
    require_text(data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(data[error.start], error.start) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise DocumentRejected("whitespace_only", f"{len(data)} bytes of white space")
    return text


def require_text(data: bytes) -> None:
    """Refuse what shows by its first bytes or by a NUL that it is no UTF-8 text."""
    if not data:
        raise DocumentRejected("empty", "0 bytes")
    if data.startswith(_UTF16_MARKS):
        raise DocumentRejected("not_utf8", "starts with a UTF-16 byte order mark; save it as UTF-8")
    if (position := data.find(b"\0")) >= 0:
        raise DocumentRejected("binary", f"NUL byte at offset {position}")


def not_utf8(byte: int, offset: int) -> DocumentRejected:
    return DocumentRejected("not_utf8", f"byte 0x{byte:02x} at offset {offset}")
