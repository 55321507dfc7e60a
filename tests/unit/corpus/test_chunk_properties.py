"""Ten thousand generated papers: nothing lost, exact offsets, within the budget, in time linear in the text."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from qa_core.config import ChunkSettings
from qa_core.corpus.chunking import Chunker
from qa_core.corpus.documents import Document
from tests.unit.corpus.losses import lost_characters
from tests.unit.corpus.timing import assert_linear

PIECES = st.sampled_from(
    [
        "# Heading",
        "Setext\n===", "## References", "A sentence here. Another e.g. one!", "word " * 60, "y" * 300,
        "- item one\n- item two\n\n  more", "1. first\n2. second", "| a | b |\n|---|---|\n" + "| 1 | two |\n" * 20,
        "```\ncode = 1\n\n# x\n```", "```", "$$\nx = 1\n$$", "$$", "<!-- gone -->", "<!--", "---", "> quote", "\t", " ",
        "漢字かな。" * 30, "🧪\u200d🔬e\u0301", "`a. B` $x. Y$ costs $5", "[1] A. Author. Title. 2020.", "<p>html</p>",
        "[^1]: A note.\n    more of it", "Figure 1: A caption. Of two.", "![alt](a.png)",
        "+---+---+\n| a | b |\n+===+===+",
        "<table>\n<tr><td>1</td></tr>\n\n</table>", "<figure>", "    indented code", "---\ntitle: x\n---", "\\[",
        "(" * 40,
        "data:;base64," + "QUJD" * 80, "|" * 30, "\\begin{align}\nx &= 1\n\\end{align}", "~~~\n", "* * *", "…!?" * 9,
    ]
)  # fmt: skip
DOCUMENTS = st.lists(
    st.tuples(PIECES | st.text(max_size=40), st.sampled_from(["\n", "\n\n", " ", "\n\n\n"])), max_size=12
)


@pytest.fixture(scope="module")
def chunkers(tokenizer_file: Path) -> list[tuple[ChunkSettings, Chunker]]:
    options = [(32, 0, 1), (48, 16, 8), (80, 12, 20), (200, 40, 16)]
    made = [
        ChunkSettings(max_tokens=most, overlap_tokens=overlap, min_tokens=least) for most, overlap, least in options
    ]
    return [(setting, Chunker(tokenizer_file, setting)) for setting in made]


@settings(max_examples=10_000, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(pieces=DOCUMENTS, number=st.integers(0, 3), title=st.sampled_from(["A", "A long title of many words " * 9]))
def test_any_text_is_cut_within_the_budget_at_exact_offsets_and_without_loss(
    chunkers: list[tuple[ChunkSettings, Chunker]],
    tokenizer_file: Path,
    pieces: list[tuple[str, str]],
    number: int,
    title: str,
):
    text = "".join(piece + gap for piece, gap in pieces).replace("\r", "")
    document = Document("id", "a.md", "markdown", title, text)
    options, chunker = chunkers[number]
    cut = chunker.chunk(document)
    tokenizer = _tokenizer(tokenizer_file)
    for row in cut.chunks:
        assert row["text"] == text[row["start_char"] : row["end_char"]]
        read = f"{row['prefix']}\n{row['text']}" if row["prefix"] else row["text"]
        assert row["num_tokens"] == len(tokenizer.encode(read, add_special_tokens=False)) <= options.max_tokens
    assert [row["chunk_index"] for row in cut.chunks] == list(range(len(cut.chunks)))
    assert all(before["start_char"] < after["start_char"] for before, after in pairwise(cut.chunks))
    assert all(before["end_char"] < after["end_char"] for before, after in pairwise(cut.chunks))
    assert lost_characters(document, cut.chunks, cut.rejected) == ""


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(pieces=DOCUMENTS.filter(bool))
def test_a_text_repeated_eight_times_takes_about_eight_times_as_long(
    chunkers: list[tuple[ChunkSettings, Chunker]], pieces: list[tuple[str, str]]
):
    once = "".join(piece + gap for piece, gap in pieces).replace("\r", "")
    once *= 1 + 20_000 // len(once)
    chunker = chunkers[1][1]
    assert_linear(lambda count: chunker.chunk(Document("id", "a.md", "markdown", "A", once * count)), 1)


_TOKENIZERS: dict[Path, Tokenizer] = {}


def _tokenizer(file: Path) -> Tokenizer:
    return _TOKENIZERS.setdefault(file, Tokenizer.from_file(str(file)))
