from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_core.corpus.tables import table_rows


def rows(table: str, header: str = "") -> tuple[str, list[str]]:
    found, spans = table_rows(table, header)
    return found, [table[start:end] for start, end in spans]


def test_the_header_of_a_pipe_table_is_its_first_row_with_the_border():
    assert rows("| a |\n|---|\n| 1 |\n| 2 |") == ("| a |\n|---|", ["| a |\n|---|", "| 1 |", "| 2 |"])


def test_the_rows_of_a_grid_table_may_have_several_lines():
    border, head = "+---+", "+:=:+"
    table = "\n".join([border, "| a |", head, "| 1 |", "| b |", border, "| 2 |", border])
    header = f"{border}\n| a |\n{head}"
    assert rows(table) == (header, [header, f"| 1 |\n| b |\n{border}", f"| 2 |\n{border}"])


def test_the_rows_of_an_html_table_end_with_their_tag():
    table = "<table>\n<tr><th>a</th></tr>\n<tr><td>1\n</td></tr><tr><td>2</td></tr>\n</table>"
    header = "<table>\n<tr><th>a</th></tr>"
    assert rows(table) == (header, [header, "<tr><td>1\n</td></tr>", "<tr><td>2</td></tr>\n</table>"])


@pytest.mark.parametrize(
    "table", ["| a |\n| b |", "+---+\n| a |\n+---+", "<table><tr><td>1</td></tr></table>", "<table>\nx"]
)
def test_a_table_without_a_header_repeats_none(table: str):
    assert rows(table)[0] == ""


def test_a_table_that_goes_on_keeps_the_header_it_began_with():
    assert rows("| 1 |\n| 2 |", "| a |\n|---|") == ("| a |\n|---|", ["| 1 |", "| 2 |"])


LINES = st.sampled_from(
    [
        "| a | b |",
        "|---|---|",
        "+---+---+",
        "+===+===+",
        "+:==:+",
        "<table>",
        "<tr><th>x</th>",
        "</tr>",
        "</table>",
        "x",
        "",
    ]
)


@given(st.lists(LINES, min_size=1, max_size=12).map("\n".join), st.sampled_from(["", "| h |\n|---|"]))
def test_every_word_of_any_table_is_in_exactly_one_row(table: str, header: str):
    spans = table_rows(table, header)[1]
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    left = "".join(char for i, char in enumerate(table) if not any(start <= i < end for start, end in spans))
    assert left.strip() == ""
