from __future__ import annotations

import re
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from qa_core.config import ChunkSettings
from qa_core.corpus.chunking import Chunker
from qa_core.corpus.counting import TokenCounter
from qa_core.corpus.loading import load_document, read_document
from qa_core.corpus.packing import passage_text
from qa_core.corpus.papers import find_papers
from qa_core.schemas import CHUNKS, CHUNKS_REJECTED
from tests.unit.corpus.losses import lost_characters

PAPERS = Path(__file__).parents[3] / "examples" / "papers"
Rows = list[dict[str, Any]]


def cut(tokenizer_file: Path, text: str, **options: int) -> tuple[Rows, Rows]:
    options = {"max_tokens": 64, "overlap_tokens": 0, "min_tokens": 1, **options}
    cut = Chunker(tokenizer_file, ChunkSettings(**options)).chunk(read_document("a.md", text.encode()))
    return cut.chunks, cut.rejected


def texts(rows: Rows) -> list[str]:
    return [row["text"] for row in rows]


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
    assert [(row["reason"], row["stage"], row["source"]) for row in rejected] == [
        ("too_short", "chunk", "a.md"), ("bare_heading", "chunk", "a.md"),
    ]  # fmt: skip


def test_a_short_rest_of_a_section_repeats_more_rather_than_being_rejected(tokenizer_file: Path):
    text = " ".join(map(sentence, range(20)))
    for length in range(len(sentence(0)) * 12, len(text), 7):
        assert not cut(tokenizer_file, text[:length], min_tokens=16)[1]


def test_headings_that_no_chunk_names_are_rejected_by_name(tokenizer_file: Path):
    text = "# A\n\n## Empty\n\n## Kept\n\nSome words.\n\n## Short\n\nx\n\n### Deeper\n"
    chunks, rejected = cut(tokenizer_file, text, min_tokens=2)
    assert [row["section_path"] for row in chunks] == [["A", "Kept"]]
    assert [(row["reason"], row["detail"].split(": ")[1]) for row in rejected] == [
        ("bare_heading", "## Empty"), ("too_short", "x"), ("bare_heading", "### Deeper"), ("bare_heading", "## Short"),
    ]  # fmt: skip


def test_a_document_without_any_word_is_rejected(tokenizer_file: Path):
    assert [row["reason"] for row in cut(tokenizer_file, "---\n\n***\n")[1]] == ["no_text"]


def test_signs_are_kept_where_they_are_content_and_named_where_they_are_not(tokenizer_file: Path):
    text = "# B\n\n```\n++++[->+<]\n```\n\n+++\n\n| + | - |\n|---|---|\n| * | / |\n"
    chunks, rejected = cut(tokenizer_file, text)
    assert [row["kind"] for row in chunks] == ["code", "table"]
    assert [(row["reason"], row["detail"]) for row in rejected] == [("no_words", "characters 25 to 28: +++")]


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
        cut = chunker.chunk(document)
        assert len(cut.chunks) > 10
        assert lost_characters(document, cut.chunks, cut.rejected) == ""


def test_the_prefix_names_the_place_in_the_paper_and_counts_in_the_budget(tokenizer_file: Path):
    text = "# Paper\n\n## Method\n\n### Data\n\n" + " ".join(map(sentence, range(20)))
    chunks, _ = cut(tokenizer_file, text)
    counter = TokenCounter(tokenizer_file)
    assert {row["prefix"] for row in chunks} == {"Paper > Method > Data"}
    assert [row["num_tokens"] for row in chunks] == [counter.count(f"{r['prefix']}\n{r['text']}") for r in chunks]
    assert max(row["num_tokens"] for row in chunks) <= 64


def test_a_prefix_that_would_eat_the_budget_loses_its_outer_headings(tokenizer_file: Path):
    text = f"# {'Long title ' * 20}\n\n## {'Another heading ' * 10}\n\n### Data\n\n{sentence(1)}"
    chunks, _ = cut(tokenizer_file, text)
    assert [row["prefix"] for row in chunks] == ["Data"]


def test_the_later_parts_of_a_long_table_repeat_its_header_in_the_prefix(tokenizer_file: Path):
    header = "| name | value |\n|---|---|"
    rows = [f"| row number {i} | value {i} |" for i in range(40)]
    chunks, _ = cut(tokenizer_file, "# T\n\n" + "\n".join([header, *rows]))
    assert chunks[0]["text"].startswith(header)
    assert chunks[0]["prefix"] == "T"
    assert {row["prefix"] for row in chunks[1:]} == {f"T\n{header}"}
    assert max(row["num_tokens"] for row in chunks) <= 64
    assert [line for row in chunks for line in row["text"].split("\n")][2:] == rows


def test_a_table_header_that_leaves_no_room_for_rows_is_not_repeated(tokenizer_file: Path):
    header = "| " + " | ".join(f"a long column name {i}" for i in range(9)) + " |\n" + "|---" * 9 + "|"
    rows = [f"| {i} |" * 9 for i in range(30)]
    chunks, _ = cut(tokenizer_file, "\n".join([header, *rows]))
    assert all("|---" not in row["prefix"] for row in chunks)
    assert max(row["num_tokens"] for row in chunks) <= 64


def test_a_caption_is_never_cut_between_its_sentences(tokenizer_file: Path):
    caption = f"Figure 3: {sentence(1)} {sentence(2)}"
    chunks, _ = cut(tokenizer_file, f"{sentence(0)} {sentence(3)}\n\n{caption}\n\n{sentence(4)}", max_tokens=48)
    assert sum(caption in row["text"] for row in chunks) == 1


def test_a_long_list_is_cut_between_items(tokenizer_file: Path):
    items = [f"- item {i}. It has two sentences\n  on two lines." for i in range(30)]
    chunks, _ = cut(tokenizer_file, "\n".join(items))
    assert len(chunks) > 2
    assert "\n".join(texts(chunks)).split("\n- ") == "\n".join(items).split("\n- ")
    assert all(row["text"].startswith("- item") for row in chunks)


def test_a_sentence_that_announces_a_list_goes_with_it(tokenizer_file: Path):
    prose, items = " ".join(map(sentence, range(4))), "\n".join(f"- item number {i} of the list" for i in range(7))
    text = f"{prose} There are these ways:\n\n{items}\n"
    counter = TokenCounter(tokenizer_file)
    least = counter.count("a") + counter.count(f"There are these ways:\n\n{items}")
    for most in range(least + 4, least + 60):
        assert sum(f"ways:\n\n{items}" in row["text"] for row in cut(tokenizer_file, text, max_tokens=most)[0]) == 1


def test_footnotes_and_references_share_no_chunk_with_prose(tokenizer_file: Path):
    text = "Prose here[^1].\n\n[^1]: A footnote of its own.\n\nMore prose.\n\n[3] B. Author. A title. 2021.\n\nLast."
    chunks, rejected = cut(tokenizer_file, text, max_tokens=128)
    assert [row["kind"] for row in chunks] == ["prose", "footnote", "prose", "references", "prose"]
    assert not rejected


def test_boilerplate_is_left_out_and_named(tokenizer_file: Path):
    document = read_document("a.md", b"# A\n\nOne.\n\nAll rights reserved.\n\nTwo.\n")
    settings = ChunkSettings(max_tokens=64, overlap_tokens=0, min_tokens=1)
    chunker = Chunker(tokenizer_file, settings)
    done = chunker.chunk(document, lambda block, kind: kind == "paragraph" and "rights" in block)
    assert texts(done.chunks) == ["One.", "Two."]
    assert [(row["reason"], row["detail"]) for row in done.rejected] == [
        ("boilerplate", "characters 11 to 31: All rights reserved.")
    ]


def test_a_paper_in_windows_is_cut_like_the_whole_paper(tokenizer_file: Path):
    text = "".join(
        f"# Section {i}\n\n{' '.join(map(sentence, range(8)))}\n\n| a | b |\n|---|---|\n| {i} | 2 |\n\n"
        for i in range(9)
    )
    whole = read_document("a.md", text.encode())
    settings = ChunkSettings(max_tokens=64, overlap_tokens=8, min_tokens=1)
    chunker = Chunker(tokenizer_file, settings)
    for size in (400, 1000, 1300):
        parts = [text[i : i + size] for i in range(0, len(text), size)]
        windowed = chunker.chunk(replace(whole, text=parts[0], rest=parts[1:]))
        assert windowed.text == text
        for row in windowed.chunks:
            assert row["text"] == text[row["start_char"] : row["end_char"]]
        assert lost_characters(whole, windowed.chunks, windowed.rejected) == ""
        assert [row["chunk_index"] for row in windowed.chunks] == list(range(len(windowed.chunks)))
        assert {row["prefix"] for row in windowed.chunks} == {
            f"Section 0 > Section {i}" if i else "Section 0" for i in range(9)
        }


def test_one_block_larger_than_a_window_is_cut_at_the_window(tokenizer_file: Path):
    parts = ["word " * 300, "word " * 300, "word " * 10]
    document = replace(read_document("a.md", b"x"), text=parts[0], rest=parts[1:])
    done = Chunker(tokenizer_file, ChunkSettings(max_tokens=64, overlap_tokens=0, min_tokens=1)).chunk(document)
    assert " ".join(texts(done.chunks)).split() == ["word"] * 610


def test_a_block_that_fits_only_without_its_prefix_goes_without_it(tokenizer_file: Path):
    lines = "\n".join(f"a{number} = {number}" for number in range(9))
    counter, code = TokenCounter(tokenizer_file), f"```\n{lines}\n```"
    tokens = counter.count(code)
    chunks, _ = cut(tokenizer_file, f"# A title of some seven words here\n\n{code}\n", max_tokens=tokens)
    assert [(row["text"], row["prefix"], row["num_tokens"]) for row in chunks] == [(code, "", tokens)]


def test_code_is_not_repeated_because_its_last_part_is_short(tokenizer_file: Path):
    lines = ["```", *(f"value_{number} = compute({number})" for number in range(40)), "```"]
    for stop in range(20, 40):
        chunks, _ = cut(tokenizer_file, "\n".join(lines[:stop]), min_tokens=30)
        assert [line for row in chunks for line in row["text"].split("\n")] == lines[:stop]


def windowed(tokenizer_file: Path, text: str, size: int, **options: int) -> tuple[Rows, Rows]:
    """The rows of a text that comes in stretches of ``size`` characters."""
    document = replace(
        read_document("a.md", b"x"), text=text[:size], rest=[text[i : i + size] for i in range(size, len(text), size)]
    )
    settings = ChunkSettings(**{"max_tokens": 64, "overlap_tokens": 0, "min_tokens": 1, **options})
    done = Chunker(tokenizer_file, settings).chunk(document)
    assert lost_characters(replace(document, text=text), done.chunks, done.rejected) == ""
    return done.chunks, done.rejected


def test_code_longer_than_a_window_stays_code(tokenizer_file: Path):
    lines = ["```python", *(f"# comment {i}\nvalue_{i} = {i}" for i in range(200)), "```"]
    chunks, rejected = windowed(tokenizer_file, "# T\n\n" + "\n".join(lines) + "\n\n# After\n\nProse here.\n", 700)
    assert {row["kind"] for row in chunks[:-1]} == {"code"}
    assert (chunks[-1]["kind"], chunks[-1]["section_path"]) == ("prose", ["After"])
    assert not rejected


def test_a_table_longer_than_a_window_keeps_its_rows_and_header(tokenizer_file: Path):
    header, rows = "| name | value |\n|---|---|", [f"| row number {i} | value {i} |" for i in range(200)]
    chunks, _ = windowed(tokenizer_file, "\n".join(["# T\n", header, *rows, "", "Prose here."]), 700)
    assert {row["kind"] for row in chunks[:-1]} == {"table"}
    assert all(row["prefix"].endswith(header) for row in chunks[1:-1])
    assert [line for row in chunks for line in row["text"].split("\n") if line.startswith("| row")] == rows


@pytest.mark.parametrize(("opener", "closer", "reason"), [("<!--", "-->", "comment"), ("<table>", "</table>", "")])
def test_html_over_the_border_of_two_windows_is_not_torn(tokenizer_file: Path, opener: str, closer: str, reason: str):
    prose = " ".join(map(sentence, range(12)))
    block = f"{opener}\n\n# Hidden\n\n{sentence(99)}\n\n{closer}"
    text = f"# T\n\n{prose}\n\n{block}\n\n{prose}\n"
    whole = cut(tokenizer_file, text, max_tokens=128)
    for size in range(len(prose), len(prose) + len(block), 7):
        chunks, rejected = windowed(tokenizer_file, text, size, max_tokens=128)
        assert (
            [row["reason"] for row in rejected] == [row["reason"] for row in whole[1]] == ([reason] if reason else [])
        )
        assert {tuple(row["section_path"]) for row in chunks} == {("T",)}
        assert sum(block in row["text"] for row in chunks) == (not reason)


def test_html_and_grid_tables_are_cut_between_rows_and_repeat_their_header(tokenizer_file: Path):
    html = (
        "<table><tr><th>name</th></tr>" + "".join(f"<tr><td>value {i}.\nmore</td></tr>" for i in range(40)) + "</table>"
    )
    chunks, _ = cut(tokenizer_file, f"# T\n\n{html}\n")
    assert len(chunks) > 3
    assert all(row["prefix"].endswith("<table><tr><th>name</th></tr>") for row in chunks[1:])
    assert all(row["text"].startswith("<tr>") for row in chunks[1:-1])
    border, head = "+------+------+", "+:====:+:====:+"
    grid = "\n".join(
        [border, "| a    | b    |", head, *[f"| {i:4} | one. |\n|      | Two. |\n{border}" for i in range(30)]]
    )
    chunks, _ = cut(tokenizer_file, f"# T\n\n{grid}\n", max_tokens=96)
    assert len(chunks) > 3
    assert all(row["prefix"].endswith(head) and row["text"].endswith(border) for row in chunks[1:])


def test_a_table_inside_a_long_list_item_is_cut_between_lines(tokenizer_file: Path):
    rows = [f"  | row {i} | value {i} |" for i in range(30)]
    chunks, _ = cut(tokenizer_file, "- An item with a table:\n\n  | a | b |\n  |---|---|\n" + "\n".join(rows))
    assert [line for row in chunks for line in row["text"].split("\n") if "row" in line] == rows


def test_wide_gaps_between_paragraphs_cost_no_more_than_their_length(tokenizer_file: Path):
    chunker = Chunker(tokenizer_file, ChunkSettings(max_tokens=384, overlap_tokens=0, min_tokens=1))
    started = time.process_time()
    done = chunker.chunk(read_document("a.md", ("a.\n" + "\n" * 500).encode() * 2000))
    assert time.process_time() - started < 20
    assert max(row["num_tokens"] for row in done.chunks) <= 384


def test_a_chunk_is_read_under_its_prefix():
    assert passage_text("Raft > Safety", "One vote.") == "Raft > Safety\nOne vote."
    assert passage_text("", "One vote.") == "One vote."
