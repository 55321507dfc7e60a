from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from qa_core.corpus.front_matter import MAX_LINES, front_matter_end
from qa_core.corpus.markdown_marks import MAX_HEADING_CHARS
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
        ("author: Smith, John; Doe, Jane", ("Smith, John", "Doe, Jane"), None),
        ("author: Smith, John and Doe, Jane", ("Smith, John", "Doe, Jane"), None),
        ("author: A. One, B. Two", ("A. One", "B. Two"), None),
        ("author: A. One, B. Two, and C. Three", ("A. One", "B. Two", "C. Three"), None),
        ("author: {name: A. One}\nyear: null\ndate: 2020", ("A. One",), 2020),
        ("author: !expr people\ndate: 2020-99-99", ("people",), 2020),
        ('author: "A\\0B"', ("A\ufffdB",), None),
        ("author: false\nyear: soon\ndate: 2019", (), 2019),
    ],
)  # fmt: skip
def test_authors_and_year_come_from_the_front_matter(front_matter: str, authors: tuple[str, ...], year: int | None):
    rendered = read(f"---\ntitle: T\n{front_matter}\n---\n\ntext\n".encode())
    assert (rendered.title, rendered.authors, rendered.year) == ("T", authors, year)


@pytest.mark.parametrize(
    "front_matter",
    [
        "title: T\n\tbad: [tabs", "title: T\n{% if a %}", "title: T\nkey: {{ value }} more", "title: T\n- list\n: odd",
        "title: T\nx: &a [*a, *b]",
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


def test_front_matter_that_is_deep_over_many_lines_needs_little_stack():
    steps = "\n".join(f" {' ' * 98 * i}{'- ' * 49}" for i in range(36))
    before = threading.stack_size(512 * 1024)
    try:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(read, f"---\ntitle: T\nx:\n{steps}\n---\n".encode()).result().title == "T"
    finally:
        threading.stack_size(before)


def test_marks_at_the_ends_of_the_front_matter_stay():
    assert read(b"---\nyear: 2020\ntitle: What now...\n---\n\ntext\n").title == "What now..."
    assert read(b"---\ntitle: What now -\n...\n\ntext\n").title == "What now -"


def _merged(levels: int) -> str:
    """Every level names the one before twice, so that taking them in would double the fields each time."""
    return "a0: &a0 {k: v}\n" + "\n".join(f"a{i}: &a{i}\n  <<: [*a{i - 1}, *a{i - 1}]" for i in range(1, levels))


@pytest.mark.parametrize(
    "front_matter",
    [
        "year: 0x" + "F" * 5000, "year: 1" + "0" * 5000, "year: !!int x", "year: 190:20:30.15.5", "date: !!timestamp x",
        "x: !!python/object:os.system y", "x: *nowhere", "x: &a [*a]", "x: {{a: b}: c}", "x: {[a]: c}", "x: \x07",
        _merged(60), "x:\n" + "\n".join(" " * i + "-" for i in range(1, 340)),
        f"logo: data:image/png;base64,{'A' * 100_000}", "x: |\n" + "  words of an abstract\n" * 1900,
        "x: |\n  " + "word " * 100_000,
    ],
    ids=lambda front_matter: front_matter[:20],
)  # fmt: skip
@pytest.mark.parametrize("order", ["{0}\ntitle: T", "title: T\n{0}"])
def test_no_field_costs_the_paper_or_its_title(front_matter: str, order: str):
    text = f"---\n{order.format(front_matter)}\n---\n\ntext\n"
    rendered = read(text.encode())
    assert (rendered.title, rendered.text) == ("T", text)


def test_a_title_is_no_longer_than_a_heading():
    for title in ("Words " * 5000, "[" * 30_000, '"' + "Words " * 5000 + '"'):
        found = read(f"---\ntitle: {title}\n---\n\ntext\n".encode()).title
        assert len(found) <= MAX_HEADING_CHARS
    assert found.startswith("Words Words")


@pytest.mark.parametrize(
    ("text", "num_lines"),
    [
        ("---\ntitle: T\n---\ntext", 3), ("--- \ntitle: T\n... \ntext", 3), ("---\n# by hand\ntitle: T\n---", 4),
        ('---\n{\n"title": "T"\n}\n---', 5), ("---\nkeys:\n- a\n-\n  b\n\n'x.y-z': 1\n---", 8),
        ("---\ntitle: T\n{% if a %}\n{{ fields }}\n{# note #}\n---", 6), ("---\nkeys: [\n  a\n]\n---", 5),
        ("---\nAbstract: text\n---", 3), ("---\nabstract: >\n  Some prose.\n\n  More of it.\n---", 6),
    ],
)  # fmt: skip
def test_front_matter_ends_with_its_second_mark(text: str, num_lines: int):
    assert front_matter_end(text.split("\n")) == num_lines


@pytest.mark.parametrize(
    "text",
    [
        "", "---", "---\ntitle: T", "---\ntitle: T\nmore: x", "title: T\n---\n---", "---\n\ntitle: T\n---",
        "---\n---\n---", "---\nProse.\n---", "---\nAbstract: text\nWe show that it is so.\n---",
        "---\nAbstract: text\n\n\nMore prose: a lot\n---", "---\nAbstract: text\n\n\u3000\u3000Prose.\n---",
        "---\n# A slide\n- a point\n---", "---\n- a\n- b\n---",
        "---\nhttps://example.org\n---", "---\ntitle: T\n{\\it Prose.}\n---", "---\ntitle: T\n--- x\n---",
        "---\ntitle: T\n**Bold:** prose\n---", "---\nNote: x\n```\ncode: 1\n```\n---",
    ],
)  # fmt: skip
def test_a_rule_above_prose_opens_no_front_matter(text: str):
    assert front_matter_end(text.split("\n")) == 0
    assert read(f"{text}\n\ntext\n".encode()).title == ""


def test_front_matter_is_looked_for_in_a_bounded_number_of_lines():
    fields = [f"k{i}: v" for i in range(MAX_LINES - 3)]
    assert front_matter_end(["---", "title: T", *fields, "---", "text"]) == MAX_LINES
    assert front_matter_end(["---", "title: T", "k: v", *fields, "---", "text"]) == 0
    assert read("\n".join(["---", "title: T", *fields, "---", "text"]).encode()).title == "T"


@pytest.mark.parametrize("line", ["a" * 4_000_000, "a:" * 2_000_000, "a" + " " * 4_000_000, "- " * 2_000_000])
def test_time_of_finding_the_end_is_linear(line: str):
    started = time.process_time()
    front_matter_end(["---", "title: T", line, "---"])
    read(f"---\ntitle: T\n{line}\n---\n".encode())
    assert time.process_time() - started < 5
