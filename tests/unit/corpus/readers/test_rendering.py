from __future__ import annotations

import pytest

from qa_core.corpus.markdown import parse_blocks
from qa_core.corpus.readers.rendering import MarkdownWriter


@pytest.mark.parametrize(
    "words",
    ["# no heading", "> no quote", "- no item", "1. no item", "1986) no item", "| no | table", "``` no fence",
     "$$ no math", "<!-- no comment", "---", "~~~ no fence", r"\[ no math", "*one* `two` is prose", "`code` first",
     "<table> tags", "<TABLE", "<Pre> text", "<figure class=x>", "[^x]: no footnote", r"[^x]: no math \]", "+---+",
     "+===+---+", r"\begin{align} a \end{align}", "***", "* * *", "_ _ _", "___", "-", "+", "*", "7.", "===", "=", "--",
     "$$x$$", r"\[x\]", "a | b", "|---|", "```x = 1``` is code", "# "],
)  # fmt: skip
def test_a_paragraph_stays_one_whatever_it_begins_with(words: str):
    writer = MarkdownWriter("character")
    writer.paragraph(words, 0, 9)
    closers = "Ends of them: --> </table> </pre> </figure> $$"
    writer.paragraph(closers, 10, 19)
    text = writer.text()
    assert [block.kind for block in parse_blocks(text)] == ["paragraph", "paragraph"]
    assert text.split("\n\n")[0].replace("\\", "") == words.strip().replace("\\", "")


def test_inline_code_and_an_entry_of_the_references_are_not_escaped():
    writer = MarkdownWriter("character")
    writer.paragraph("```x = 1``` is code.", 0, 9)
    writer.paragraph("[1] A. Author. Title. 2020.", 10, 19)
    assert writer.text() == "```x = 1``` is code.\n\n[1] A. Author. Title. 2020.\n"
    assert [block.kind for block in parse_blocks(writer.text())] == ["paragraph", "references"]


def test_every_block_is_read_as_what_it_was_written_as():
    writer = MarkdownWriter("page")
    writer.heading(2, "Results\nand  more", 1, 1)
    writer.paragraph("Some   words\nhere.", 1, 1)
    writer.code("```\nx = 1\n```", 1, 2, "text")
    writer.math("\nx\n\n= 1", 2, 2)
    writer.list(["one\ntwo", "three"], 2, 2, ordered=True)
    writer.table([["a", "b|c"], ["1"]], 3, 3)
    text = writer.text()
    assert [(block.kind, text[block.start : block.end]) for block in parse_blocks(text)] == [
        ("heading", "## Results and more"), ("paragraph", "Some words here."),
        ("code", "````text\n```\nx = 1\n```\n````"), ("math", "$$\nx\n= 1\n$$"), ("list", "1. one two\n2. three"),
        ("table", "| a | b\\|c |\n|---|---|\n| 1 |  |"),
    ]  # fmt: skip


def test_a_stretch_of_text_is_found_again_in_the_file():
    writer = MarkdownWriter("character")
    writer.paragraph("One.", 100, 120)
    writer.paragraph("Two.", 150, 170)
    writer.paragraph("Three.", 130, 140)
    text, where = writer.text(), writer.source_map()
    assert where.locate(0, 4) == (100, 120)
    assert where.locate(text.index("Two"), len(text)) == (130, 170)
    assert where.locate(1, text.index("Two") + 1) == (100, 170)


def test_what_is_empty_is_not_written():
    writer = MarkdownWriter("cell")
    writer.heading(1, "  ", 0, 1)
    writer.code("\n", 0, 1)
    writer.math(" \n", 0, 1)
    writer.list([" "], 0, 1)
    writer.table([], 0, 1)
    writer.paragraph("\n", 0, 1)
    assert writer.text() == ""
    assert writer.source_map().text_starts == ()
