from __future__ import annotations

import time

import pytest

from qa_core.corpus.markdown import Block, parse_blocks


def kinds(text: str) -> list[str]:
    return [block.kind for block in parse_blocks(text)]


def parsed(text: str) -> list[tuple[str, str]]:
    return [(block.kind, text[block.start : block.end]) for block in parse_blocks(text)]


def paths(text: str) -> dict[str, tuple[str, ...]]:
    return {text[b.start : b.end]: b.section_path for b in parse_blocks(text) if b.kind != "heading"}


def test_every_kind_of_block_is_told_apart_with_exact_offsets():
    pieces = [
        ("front_matter", "---\ntitle: T\n---"),
        ("heading", "# One #"),
        ("paragraph", "Some *words*\nover two lines."),
        ("list", "- a\n- b\n\n  still b"),
        ("table", "| a | b |\n|---|:-:|\n| 1 | 2 |"),
        ("code", "```python\n# no heading\n\nx = 1\n```"),
        ("math", "$$\nx = 1\n$$"),
        ("comment", "<!-- hidden\n\n# text -->"),
        ("heading", "Two\n---"),
        ("paragraph", "End."),
    ]
    text = "\n\n".join(piece for _, piece in pieces) + "\n"
    assert parsed(text) == pieces


def test_the_section_path_names_the_headings_above_from_the_outermost():
    text = "# A\n\none\n\n## B\n\ntwo\n\n### C\n\nthree\n\n## D\n\nfour\n"
    assert paths(text) == {"one": ("A",), "two": ("A", "B"), "three": ("A", "B", "C"), "four": ("A", "D")}


def test_a_reference_section_ends_with_the_next_heading_of_its_level():
    text = "# P\n\n## 7. References\n\n[1] One.\n\n### Web\n\n- two\n\n## Appendix\n\nText.\n"
    assert [kind for kind in kinds(text) if kind != "heading"] == ["references", "references", "paragraph"]


def test_marks_inside_code_and_math_start_nothing():
    assert kinds("~~~\n# a\n$$\n- b\n| a |\n|---|\n~~~") == ["code"]
    assert kinds("$$\na \\\\\n- b \\\\\n# c\n$$") == ["math"]
    assert kinds("````\n```\n# a\n```\n````") == ["code"]


def test_math_on_one_line_in_latex_brackets_and_in_an_environment_is_math():
    assert kinds("text\n$$x = 1$$\ntext") == ["paragraph", "math", "paragraph"]
    assert kinds("\\[\nx = 1\n\\]") == ["math"]
    assert kinds("\\begin{align*}\nx &= 1\n\\end{align*}") == ["math"]
    assert kinds("$$x$$ is a variable in this sentence.") == ["paragraph"]


def test_math_that_is_never_closed_stays_prose():
    assert kinds("$$\nx = 1\n\ntext\n\n# H") == ["paragraph", "paragraph", "heading"]


def test_a_table_ends_where_its_rows_end():
    assert parsed("a | b\n--|--\n1 | 2\nafter") == [("table", "a | b\n--|--\n1 | 2"), ("paragraph", "after")]


def test_a_dash_line_under_a_paragraph_does_not_swallow_the_paragraph():
    text = "one line\nand another\n---\nmore"
    assert parsed(text) == [("paragraph", "one line\nand another"), ("paragraph", "more")]


def test_a_very_long_heading_is_a_paragraph_so_that_its_text_is_kept():
    assert kinds("# " + "word " * 100) == ["paragraph"]


def test_a_list_holds_its_code_and_its_blank_lines():
    text = "1. first\n\n   ```sh\n   a\n\n   b\n   ```\n\n2. second\n\nafter"
    assert [kind for kind, _ in parsed(text)] == ["list", "paragraph"]


def test_a_wrapped_line_that_starts_with_a_year_is_no_list():
    assert kinds("It was shown in\n2019. Since then it is known.") == ["paragraph"]


def test_text_after_a_comment_is_kept_and_an_open_comment_hides_nothing():
    assert parsed("<!-- a --> shown\n\nalso") == [
        ("comment", "<!-- a -->"), ("paragraph", " shown"), ("paragraph", "also"),
    ]  # fmt: skip
    assert kinds("<!-- open\n\n# H\n\ntext") == ["paragraph", "heading", "paragraph"]


@pytest.mark.parametrize(
    "caption",
    [
        "Figure 3: The layers.", "**Table 2.** Results of all runs.", "Fig. 4a | A plot", "_Figure 1 - The paths._",
        "Table 1 Characteristics of the herd.", "Algorithm 2", "图 3：模型结构",
        "![A plot of the loss](loss.png){#fig:1}", "![one](a.png)\n![two](b.png)",
    ],
)  # fmt: skip
def test_captions_and_images_are_told_from_prose(caption: str):
    assert parsed(f"Text.\n\n{caption}\n\nMore.") == [
        ("paragraph", "Text."), ("caption", caption), ("paragraph", "More."),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["Table 1 shows it.", "Figures are shown.", "See ![this](a.png) image.", "Table"])
def test_prose_about_a_figure_is_no_caption(text: str):
    assert kinds(text) == ["paragraph"]


def test_a_footnote_goes_on_over_wrapped_and_indented_lines():
    notes = ["[^1]: The first\nis wrapped.", "[^two]: The second.\n\n    Its second paragraph."]
    assert parsed(f"Text[^1].\n\n{notes[0]}\n{notes[1]}\n\nMore.") == [
        ("paragraph", "Text[^1]."), ("footnote", notes[0]), ("footnote", notes[1]), ("paragraph", "More."),
    ]  # fmt: skip


def test_entries_of_a_bibliography_are_references_also_without_a_heading():
    assert kinds("[1] A. Author. A title. 2021.") == ["references"]
    assert kinds("[1] is cited here without a date.") == ["paragraph"]


def test_grid_tables_and_html_tables_are_whole():
    grid = "+---+---+\n| a | b |\n+===+===+\n| 1 | 2 |\n+---+---+"
    html = "<table>\n<tr><td>1</td></tr>\n\n<tr><td>2</td></tr>\n</table>"
    assert parsed(f"{grid}\n\n{html}\nafter") == [("table", grid), ("table", html), ("paragraph", "after")]
    assert kinds("<table>\n<tr>\n\nnever closed") == ["paragraph", "paragraph"]


def test_indented_lines_after_a_blank_one_are_code():
    assert parsed("Text:\n\n    x = 1\n\n    y = 2\n\nMore") == [
        ("paragraph", "Text:"), ("code", "    x = 1\n\n    y = 2"), ("paragraph", "More"),
    ]  # fmt: skip
    assert kinds("Text\n    wrapped") == ["paragraph"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[^1]: A note.\n## Next\n\ntext", ["footnote", "heading", "paragraph"]),
        ("[^1]: A note.\n```\n\n# x\n```\n\ntext", ["footnote", "code", "paragraph"]),
        ("[^1]: A note.\n| a |\n|---|\n| 1 |", ["footnote", "table"]),
        ("- ```py\n  x\n  ```\n\n```\ny\n\n# z\n```\n\n# H", ["list", "code", "heading"]),
        ("- ```py\n  x\n  ```\n\nParagraph.", ["list", "paragraph"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n## H | x\n\ntext", ["table", "heading", "paragraph"]),
        ("<TABLE>\n\n<td><table></table>\n\n</td></TABLE>\ntext", ["table", "paragraph"]),
        ("![plot](a.png)\nFigure 1: A caption. Of two.", ["caption"]),
        ("TABLE IV: Results.\n\nSupplementary Figure 1: More.", ["caption", "caption"]),
        ("Figure 2 (left) shows it. It is good.", ["paragraph"]),
        ("> | a | b |\n> |---|---|\n> | 1. x | 2 |", ["table"]),
        ("> ```\n> x = 1. y\n> ```", ["code"]),
        ("> Quoted words. And more.", ["paragraph"]),
        ("\\begin{flalign}\nx\n\\end{flalign}", ["math"]),
    ],
)
def test_neighbours_do_not_swallow_or_tear_each_other(text: str, expected: list[str]):
    assert kinds(text) == expected


def test_a_heading_with_signs_of_comparison_keeps_its_words():
    assert paths("# When p < 0.05 and q > 3 <b>hold</b>\n\ntext") == {"text": ("When p < 0.05 and q > 3 hold",)}


def test_embedded_data_is_cut_out_of_the_block_around_it():
    blob = ";base64," + "iVBORw0KGgo" * 40
    text = f'before <img alt="a plot" src="data:image/png{blob}" /> after'
    assert parsed(text) == [
        ("paragraph", 'before <img alt="a plot" src="data:image/png'), ("embedded_data", blob),
        ("paragraph", '" /> after'),
    ]  # fmt: skip


def test_a_dashed_line_at_the_top_is_front_matter_only_before_yaml():
    assert kinds("---\n\ntext\n\n---\n") == ["paragraph"]
    assert kinds("---\ntitle: T\nno end") != ["front_matter"]


def test_blocks_come_in_order_and_do_not_overlap():
    text = "# A\ntext\n- a\n  - b\n> quote\n***\n| a |\n\n\n## B\n"
    blocks = list(parse_blocks(text))
    ends = [0] + [block.end for block in blocks]
    assert all(isinstance(block, Block) and block.start >= end for block, end in zip(blocks, ends, strict=False))


@pytest.mark.parametrize(
    "piece",
    [
        "\\[ a\n",
        "<!-- \n",
        "- a\n  ```\nb\n",
        "a|b\n",
        "```\n~~~\n",
        "$$ x\ny\n",
        "` a\n",
        "> - # \n",
        "\\begin{align}\n",
        "<table>\n",
        "[^1]: a\n",
        "+--+\n",
        "![a](b)\n",
        "    a\n\n",
        "# a\n=\n",
        "- ```\n",
        "<pre>\n<!--\n",
        "<table>\n</table\n",
        "> |-|\n",
    ],
)
def test_time_grows_with_the_text_and_not_with_its_square(piece: str):
    # 40,000 lines take about a second; a quadratic parser would need many minutes.
    started = time.process_time()
    list(parse_blocks(piece * 20_000))
    assert time.process_time() - started < 30
