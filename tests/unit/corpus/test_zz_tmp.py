from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from qa_core.config import ChunkSettings
from qa_core.corpus.chunking import Chunker
from qa_core.corpus.markdown import parse_blocks
from qa_core.corpus.readers import Document, find_papers, load_document, read_document
from qa_core.schemas import CHUNKS, CHUNKS_REJECTED

PAPERS = Path(__file__).parents[3] / "examples" / "papers"
Rows = list[dict[str, Any]]


def cut(tokenizer_file: Path, text: str, **options: int) -> tuple[Rows, Rows]:
    options = {"max_tokens": 64, "overlap_tokens": 0, "min_tokens": 1, **options}
    return Chunker(tokenizer_file, ChunkSettings(**options)).chunk(read_document("a.md", text.encode()))


def texts(rows: Rows) -> list[str]:
    return [row["text"] for row in rows]


def lost_characters(document: Document, chunks: Rows, rejected: Rows) -> str:
    """What says something but is in no chunk, no rejection and no heading."""
    kept = bytearray(len(document.text))
    spans = [(row["start_char"], row["end_char"]) for row in chunks]
    spans += [
        (int(a), int(b))
        for a, b in re.findall(r"^characters (\d+) to (\d+)", "\n".join(r["detail"] for r in rejected), re.M)
    ]
    spans += [(block.start, block.end) for block in parse_blocks(document.text) if block.kind == "heading"]
    for start, end in spans:
        kept[start:end] = b"\1" * (end - start)
    missing = (char for char, is_kept in zip(document.text, kept, strict=True) if not is_kept)
    return "".join(char for char in missing if char.isalnum() or not (char.isascii() or char.isspace()))


def sentence(number: int) -> str:
    return f"Sentence number {number} says something about a system."


def test_small_blocks_of_one_section_share_a_chunk(tokenizer_file: Path):
    body = "The sum is\n\n$$\nx = 1\n$$\n\nwhere:\n\n- x is a number\n- y is not"
    chunks, rejected = cut(tokenizer_file, f"# Title\n\n## Section\n\n{body}\n", max_tokens=128)
    assert texts(chunks) == [body]
    assert chunks[0]["section_path"] == ["Title", "Section"]
    assert not rejected


def test_a_chunk_never_crosses_a_section_border(tokenizer_file: Path):
    chunks, _ = cut(tokenizer_file, "# A\n\none\n\n## B\n\ntwo\n\n## B\n\nthree\n")
    assert texts(chunks) == ["one", "two", "three"]
    assert [row["chunk_index"] for row in chunks] == [0, 1, 2]


def test_prose_is_cut_between_sentences(tokenizer_file: Path):
    chunks, _ = cut(tokenizer_file, " ".join(map(sentence, range(20))))
    assert len(chunks) > 2
    assert all(re.fullmatch(r"(Sentence number \d+ says something about a system\. ?)+", row["text"]) for row in chunks)


def test_the_next_chunk_repeats_whole_sentences_up_to_the_overlap(tokenizer_file: Path):
    chunks, _ = cut(tokenizer_file, " ".join(map(sentence, range(20))), overlap_tokens=20)
    for before, after in pairwise(chunks):
        assert before["start_char"] < after["start_char"] < before["end_char"] < after["end_char"]
        repeated = before["text"][after["start_char"] - before["start_char"] :]
        assert re.fullmatch(r"Sentence number \d+ says something about a system\.", repeated)


def test_without_overlap_chunks_do_not_share_text(tokenizer_file: Path):
    chunks, _ = cut(tokenizer_file, " ".join(map(sentence, range(20))))
    assert all(before["end_char"] <= after["start_char"] for before, after in pairwise(chunks))


@pytest.mark.parametrize(
    ("kind", "block"),
    [
        ("table", "| a | b |\n|---|---|\n" + "\n".join(f"| row {i} | value {i} |" for i in range(4))),
        ("code", "```python\n" + "\n".join(f"x{i} = {i}" for i in range(8)) + "\n```"),
        ("math", "$$\n" + "\n".join(f"x_{i} = {i} \\\\" for i in range(6)) + "\n$$"),
        ("list", "\n".join(f"- item number {i} of the list" for i in range(6))),
    ],
)
def test_a_block_that_fits_is_never_cut(tokenizer_file: Path, kind: str, block: str):
    prose = " ".join(map(sentence, range(5)))
    chunks, _ = cut(tokenizer_file, f"{prose}\n\n{block}\n\n{prose}\n", max_tokens=96)
    assert sum(block in row["text"] for row in chunks) == 1
    assert [row["kind"] for row in cut(tokenizer_file, block, max_tokens=96)[0]] == [kind]


def test_a_table_is_never_cut_inside_a_row(tokenizer_file: Path):
    lines = ["| name | value |", "|---|---|", *(f"| row number {i} | value {i} |" for i in range(40))]
    chunks, _ = cut(tokenizer_file, "\n".join(lines))
    assert len(chunks) > 1
    assert [line for row in chunks for line in row["text"].split("\n")] == lines
    assert {row["kind"] for row in chunks} == {"table"}


def test_a_long_table_starts_its_own_chunk_so_that_its_header_meets_its_rows(tokenizer_file: Path):
    lines = ["| name | value |", "|---|---|", *(f"| row number {i} | value {i} |" for i in range(40))]
    chunks, _ = cut(tokenizer_file, f"{sentence(1)} {sentence(2)}\n\n" + "\n".join(lines), min_tokens=8)
    assert chunks[1]["text"].startswith("| name | value |")


def test_long_code_is_cut_between_lines(tokenizer_file: Path):
    lines = ["```python", *(f"value_{i} = compute({i})" for i in range(40)), "```"]
    chunks, _ = cut(tokenizer_file, "\n".join(lines))
    assert [line for row in chunks for line in row["text"].split("\n")] == lines


def test_a_sentence_above_the_budget_is_cut_between_words(tokenizer_file: Path):
    words = [f"word{i}" for i in range(200)]
    chunks, _ = cut(tokenizer_file, " ".join(words))
    assert len(chunks) > 2
    assert " ".join(texts(chunks)).split() == words


@pytest.mark.parametrize("text", ["x" * 2000, "漢字" * 500, "🧪" * 300, "a\u0301" * 500])
def test_a_word_above_the_budget_is_cut_between_characters(tokenizer_file: Path, text: str):
    chunks, _ = cut(tokenizer_file, text)
    assert "".join(texts(chunks)) == text


def test_a_reference_section_is_of_its_own_kind(tokenizer_file: Path):
    text = "# A\n\ntext here\n\n## References\n\n[1] T. Author. A title. 2020.\n\n- B. Author. Another. 2021.\n"
    chunks, _ = cut(tokenizer_file, text)
    assert [row["kind"] for row in chunks] == ["prose", "references"]


def test_what_is_no_text_of_the_paper_is_rejected_with_its_place(tokenizer_file: Path):
    blob = ";base64," + "iVBORw0KGgo" * 40
    text = f"---\nauthor: A\n---\n\nOne.\n\n<!-- hidden words -->\n\nTwo data:image/png{blob} three.\n"
    chunks, rejected = cut(tokenizer_file, text)
    assert texts(chunks) == ["One.", "Two data:image/png", "three."]
    assert [row["reason"] for row in rejected] == ["front_matter", "comment", "embedded_data"]
    assert rejected[1]["detail"] == "characters 25 to 46: <!-- hidden words -->"


def test_short_sections_are_rejected_unless_they_are_atomic(tokenizer_file: Path):
    chunks, rejected = cut(tokenizer_file, "# A\n\nTwo words.\n\n# B\n\n$$x = 1$$\n", min_tokens=16)
    assert texts(chunks) == ["$$x = 1$$"]
    assert [(row["reason"], row["stage"], row["source"]) for row in rejected] == [("too_short", "chunk", "a.md")]


def test_a_short_rest_of_a_section_repeats_more_rather_than_being_rejected(tokenizer_file: Path):
    text = " ".join(map(sentence, range(20)))
    for length in range(len(sentence(0)) * 12, len(text), 7):
        assert not cut(tokenizer_file, text[:length], min_tokens=16)[1]


def test_a_document_of_headings_only_is_rejected(tokenizer_file: Path):
    chunks, rejected = cut(tokenizer_file, "# A\n\n## B\n")
    assert not chunks
    assert [row["reason"] for row in rejected] == ["only_headings"]


def test_ids_are_content_hashes_and_rows_fit_the_schemas(tokenizer_file: Path):
    text = "<!-- c -->\n\n" + " ".join(map(sentence, range(20)))
    first, second = cut(tokenizer_file, text), cut(tokenizer_file, text)
    assert first == second
    assert len({row["chunk_id"] for row in first[0]}) == len(first[0])
    assert pa.Table.from_pylist(first[0], schema=CHUNKS).num_rows == len(first[0])
    assert pa.Table.from_pylist(first[1], schema=CHUNKS_REJECTED).num_rows == 1


def test_the_bundled_papers_are_cut_without_loss(tokenizer_file: Path):
    chunker = Chunker(tokenizer_file, ChunkSettings(max_tokens=128, overlap_tokens=24))
    for paper in find_papers(str(PAPERS)):
        document = load_document(paper)
        chunks, rejected = chunker.chunk(document)
        assert len(chunks) > 10
        assert lost_characters(document, chunks, rejected) == ""


PIECES = st.sampled_from(
    [
        "# Heading", "Setext\n===", "## References", "A sentence here. Another e.g. one!", "word " * 60, "y" * 300,
        "- item one\n- item two\n\n  more", "1. first\n2. second", "| a | b |\n|---|---|\n" + "| 1 | two |\n" * 20,
        "```\ncode = 1\n\n# x\n```", "```", "$$\nx = 1\n$$", "$$", "<!-- gone -->", "<!--", "---", "> quote", "\t", " ",
        "漢字かな。" * 30, "🧪\u200d🔬e\u0301", "`a. B` $x. Y$ costs $5", "[1] A. Author. Title. 2020.", "<p>html</p>",
    ]
)  # fmt: skip


@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(st.tuples(PIECES | st.text(max_size=40), st.sampled_from(["\n", "\n\n", " "])), max_size=12),
    max_tokens=st.integers(32, 80),
    overlap_tokens=st.integers(0, 16),
    min_tokens=st.integers(1, 20),
)
def test_any_text_is_cut_within_the_budget_at_exact_offsets_and_without_loss(
    tokenizer_file: Path, pieces: list[tuple[str, str]], max_tokens: int, overlap_tokens: int, min_tokens: int
):
    text = "".join(piece + gap for piece, gap in pieces).replace("\r", "")
    document = Document("id", "a.md", "A", text)
    options = ChunkSettings(max_tokens=max_tokens, overlap_tokens=overlap_tokens, min_tokens=min_tokens)
    chunks, rejected = Chunker(tokenizer_file, options).chunk(document)
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    for row in chunks:
        assert row["text"] == text[row["start_char"] : row["end_char"]]
        assert row["num_tokens"] == len(tokenizer.encode(row["text"], add_special_tokens=False)) <= max_tokens
    assert [row["chunk_index"] for row in chunks] == list(range(len(chunks)))
    assert all(before["start_char"] < after["start_char"] for before, after in pairwise(chunks))
    assert all(before["end_char"] < after["end_char"] for before, after in pairwise(chunks))
    assert lost_characters(document, chunks, rejected) == ""
