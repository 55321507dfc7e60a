from __future__ import annotations

import time

import pytest

from qa_core.corpus.readers.markdown import read


@pytest.mark.parametrize(
    ("front_matter", "authors", "year"),
    [
        ("author: Ada Lovelace and Charles Babbage\ndate: 1943-09-01", ("Ada Lovelace", "Charles Babbage"), 1943),
        ("authors:\n- name: A. One\n  orcid: 0\n- B. Two\nyear: 1943", ("A. One", "B. Two"), 1943),
        ("authors: [A. One, B. Two]\ndate: 12 May 2021", ("A. One", "B. Two"), 2021),
        ("author: A. One; B. Two", ("A. One", "B. Two"), None),
        ("date: {{ today }}\nauthor: A. One", ("A. One",), None),
        ("date: 20210512", (), None),
    ],
)  # fmt: skip
def test_authors_and_year_come_from_the_front_matter(front_matter: str, authors: tuple[str, ...], year: int | None):
    rendered = read(f"---\ntitle: T\n{front_matter}\n---\n\ntext\n".encode())
    assert (rendered.title, rendered.authors, rendered.year) == ("T", authors, year)


@pytest.mark.parametrize(
    "front_matter",
    [
        "title: T\n\tbad: [tabs", "title: T\n{% if a %}", "title: T\nkey: {{ value }} more", "title: T\n- list\n: odd",
        "title: T\n&a [*a, *b]",
    ],
)  # fmt: skip
def test_front_matter_that_is_no_yaml_still_gives_its_plain_lines(front_matter: str):
    assert read(f"---\n{front_matter}\n---\n\ntext\n".encode()).title == "T"


@pytest.mark.parametrize("body", ["- just\n- a list", "5", '"words"', "", "# a comment"])
def test_front_matter_without_fields_states_nothing(body: str):
    rendered = read(f"---\n{body}\n---\n\ntext\n".encode())
    assert (rendered.title, rendered.authors, rendered.year) == ("", (), None)


@pytest.mark.parametrize("mark", ["[", "{", "- ", "? ", "[{", "- ["])
def test_deep_front_matter_neither_overflows_the_stack_nor_takes_long(mark: str):
    started = time.process_time()
    assert read(f"---\ntitle: T\nx:\n  {mark * 20_000}\n---\n\ntext\n".encode()).title == "T"
    assert time.process_time() - started < 30
