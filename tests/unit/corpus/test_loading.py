from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from qa_core.corpus.documents import DocumentRejected
from qa_core.corpus.loading import MAX_BYTES, WINDOW_BYTES, load_document, read_document
from qa_core.corpus.papers import PaperFile, find_papers


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n\t\r\n", "whitespace_only"),
        (b"\xef\xbb\xbf\n", "whitespace_only"),
        (b"caf\xe9", "not_utf8"),
        ("text".encode("utf-16"), "not_utf8"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
    ],
)
def test_a_file_that_is_no_text_is_refused_with_the_reason(data: bytes, reason: str):
    with pytest.raises(DocumentRejected) as caught:
        read_document("a.md", data)
    assert caught.value.reason == reason
    assert caught.value.detail
    assert pickle.loads(pickle.dumps(caught.value)).reason == reason


def test_a_byte_order_mark_and_foreign_line_breaks_are_not_part_of_the_text():
    assert read_document("a.md", b"\xef\xbb\xbf# A\r\n\r\none\rtwo\n").text == "# A\n\none\ntwo\n"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("---\ntitle: 'Paper: one'\n---\n\n# Summary\n", "Paper: one"),
        ("---\ntitle: >\n  folded\n  words\n---\n# Real\n", "folded words"),
        ("---\ntitle: {{ title }}\n---\n# Real\n", "Real"),
        ("---\ntitle: [a list]\n---\n# Real\n", "Real"),
        ("text first\n\n## [Linked](x) **bold** `code` {#id}\n", "Linked bold code"),
        ("```\n# not a heading\n```\n\nSetext title\n============\n", "Setext title"),
        ("no heading at all", "my paper"),
    ],
)
def test_the_title_comes_from_front_matter_or_the_first_heading_or_the_file_name(text: str, title: str):
    assert read_document("sub/my-paper.md", text.encode()).title == title


def test_a_title_is_never_cut_where_the_search_for_it_stops():
    for before in range(2000, 2060):
        text = "x" * before + "\n\n# A title of some words\n\ntext\n" + "y\n" * 99
        assert read_document("a.md", text.encode()).title == "A title of some words"


@pytest.mark.parametrize("opener", ["---\ntitle: [a list]\n", "Before.\n\n<!--\n"])
def test_a_mark_inside_long_front_matter_or_a_long_comment_is_no_title(opener: str):
    closer = "---" if opener.startswith("---") else "-->"
    text = f"{opener}# generated, do not edit\n" + "key: value\n" * 300 + f"{closer}\n\n# The title\n"
    assert read_document("a.md", text.encode()).title == "The title"


def test_the_document_id_depends_on_path_and_bytes_only():
    same = read_document("a.md", b"text").doc_id
    assert read_document("a.md", b"text").doc_id == same
    assert read_document("b.md", b"text").doc_id != same
    assert read_document("a.md", b"text.").doc_id != same


def test_a_markdown_file_that_is_a_web_page_is_read_as_one():
    page = (
        b"<!doctype html>\n<html><head><title>A Page</title></head><body><h1>A Page</h1><p>Its words.</p></body></html>"
    )
    document = read_document("a.md", page)
    assert (document.format, document.title) == ("html", "A Page")
    assert "Its words." in document.text
    assert "<p>" not in document.text
    assert read_document("b.md", b'<div align="center">\n\n# Title\n\n</div>').format == "markdown"


def large(folder: Path, text: bytes) -> PaperFile:
    (folder / "large.md").write_bytes(text)
    (paper,) = find_papers(str(folder))
    return paper


def test_a_very_large_paper_comes_in_windows_that_are_the_file(tmp_path: Path):
    text = "---\ntitle: Large\n---\n\n" + "Caf\u00e9 \u6f22\u5b57 \U0001f642 words.\r\n" * (WINDOW_BYTES // 14)
    document = load_document(large(tmp_path, text.encode()))
    assert document.title == "Large"
    windows = [document.text, *document.rest]
    assert len(windows) > 2
    assert "".join(windows) == text.replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("tail", "reason", "detail"),
    [(b"caf\xe9 ", "not_utf8", "byte 0xe9 at offset {}"), (b"\0", "binary", "NUL byte at offset {}")],
)
def test_what_is_wrong_far_inside_a_large_paper_is_told_with_its_offset(
    tmp_path: Path, tail: bytes, reason: str, detail: str
):
    body = b"word " * (WINDOW_BYTES // 4)
    document = load_document(large(tmp_path, body + tail))
    with pytest.raises(DocumentRejected) as caught:
        list(document.rest)
    assert caught.value.reason == reason
    assert caught.value.detail == detail.format(len(body) + (3 if reason == "not_utf8" else 0))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path):
    paper = large(tmp_path, b"word " * (WINDOW_BYTES // 2))
    document = load_document(paper)
    (tmp_path / "large.md").write_bytes(b"more " * (WINDOW_BYTES // 2))
    with pytest.raises(DocumentRejected) as caught:
        list(document.rest)
    assert caught.value.reason == "changed_while_read"
    with pytest.raises(OSError, match="being read"), paper.open() as stream:  # noqa: PT012
        stream.read(10)
        (tmp_path / "large.md").write_bytes(b"less")


def test_a_file_that_vanishes_is_refused(tmp_path: Path):
    paper = large(tmp_path, b"text")
    (tmp_path / "large.md").unlink()
    with pytest.raises(DocumentRejected) as caught:
        load_document(paper)
    assert caught.value.reason == "unreadable"


def test_a_large_file_that_cannot_be_read_in_windows_is_refused(tmp_path: Path):
    with open(tmp_path / "a.html", "wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    (paper,) = find_papers(str(tmp_path))
    with pytest.raises(DocumentRejected) as caught:
        load_document(paper)
    assert caught.value.reason == "too_large"
