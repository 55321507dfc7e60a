"""Files that make other programs hang, crash or drop text in silence."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from qa_core.config import ChunkSettings
from qa_core.corpus.chunking import Chunker, Cut
from qa_core.corpus.loading import load_document, read_document
from qa_core.corpus.papers import find_papers
from tests.unit.corpus.losses import lost_characters

SECONDS = 60
"""Far above what a linear pass needs, and far below what a quadratic one would."""


@pytest.fixture(scope="module")
def chunker(tokenizer_file: Path) -> Chunker:
    return Chunker(tokenizer_file, ChunkSettings(max_tokens=128, overlap_tokens=16, min_tokens=1))


def cut(chunker: Chunker, text: str) -> Cut:
    document, started = read_document("a.md", text.encode()), time.process_time()
    done = chunker.chunk(document)
    assert time.process_time() - started < SECONDS
    assert lost_characters(document, done.chunks, done.rejected) == ""
    assert all(row["num_tokens"] <= 128 for row in done.chunks)
    return done


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, "(" * 100_000 + ")" * 100_000, "> " * 100_000 + "deep", "- " * 100_000 + "deep", "\"'" * 100_000,
        "![" * 100_000, "<" * 100_000, "<b>" * 50_000, "*" * 100_000 + "a", "`" * 99_999 + "a", "$" * 99_999 + "a",
        "\\(" * 100_000, "[^" * 100_000, "|" * 100_000 + "\n" + "|-" * 100_000, "#" * 100_000 + " a", "{" * 100_000,
        "a." * 100_000, "\t" * 100_000 + "a", "a\n" * 50_000 + "===", "+-" * 100_000 + "+",
    ],
    ids=lambda text: repr(text[:6]),
)  # fmt: skip
def test_a_hundred_thousand_marks_in_a_row_are_only_text(chunker: Chunker, text: str):
    done = cut(chunker, f"# Title\n\nBefore it stand some words.\n\n{text}\n\nAfter it stand some words.\n")
    assert any("Before it stand some words." in row["text"] for row in done.chunks)


@pytest.mark.parametrize("opener", ["```python", "~~~~", "$$", "\\[", "\\begin{align}", "<!--", "<table>", "<figure>"])
def test_a_block_that_is_never_closed_loses_nothing(chunker: Chunker, opener: str):
    body = "\n\n".join(f"Line {number} says something. And something more." for number in range(400))
    assert len(cut(chunker, f"# Title\n\n{opener}\n{body}\n").chunks) > 20


def test_a_table_of_fifty_thousand_rows_is_cut_between_rows_and_repeats_its_header(chunker: Chunker):
    header = "| key | value |\n|---|---|"
    rows = [f"| key {number} | {number * 7} |" for number in range(50_000)]
    chunks = cut(chunker, "# Table\n\n" + "\n".join([header, *rows])).chunks
    assert [line for row in chunks for line in row["text"].split("\n")] == [*header.split("\n"), *rows]
    assert all(row["prefix"] == f"Table\n{header}" for row in chunks[1:])


@pytest.mark.parametrize("piece", ["One sentence. ", "x", "漢字", "a\u0301"])
def test_thirty_megabytes_in_one_line_are_cut_in_linear_time(chunker: Chunker, tmp_path: Path, piece: str):
    size = 30_000_000
    (tmp_path / "line.md").write_text(piece * (size // len(piece.encode())), encoding="utf-8")
    (paper,) = find_papers(str(tmp_path))
    started = time.process_time()
    end = 0
    for stretch in chunker.stream(load_document(paper)):
        for row in stretch.chunks:
            assert row["num_tokens"] <= 128
            assert stretch.text[end - stretch.start : row["start_char"] - stretch.start].strip() == ""
            end = row["end_char"]
        assert stretch.text[max(0, end - stretch.start) :].strip() == ""
        end = stretch.start + len(stretch.text)
    assert end == size // len(piece.encode()) * len(piece)
    assert time.process_time() - started < 2 * SECONDS


def test_carriage_returns_and_byte_order_marks_change_no_chunk(chunker: Chunker):
    text = "# Title\n\nOne sentence of this paper. And another one.\n\n- one item\n- and another item\n"
    plain = chunker.chunk(read_document("a.md", text.encode()))
    foreign = chunker.chunk(read_document("a.md", b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()))
    assert [row["text"] for row in foreign.chunks] == [row["text"] for row in plain.chunks]
