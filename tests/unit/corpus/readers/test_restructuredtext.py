import re
from collections import Counter

import pytest

from qa_core.corpus.documents import DocumentRejected
from qa_core.corpus.readers.restructuredtext import read
from tests.unit.corpus.timing import assert_linear

PAPER = """\
==========================
Spans for Cited Answers
==========================

:Author: Ada Byron <ada@example.org>
:Authors: - Bo Li
          - Cy Twombly
:Date: 2021-05-03
:Abstract: We cite what we answer,
   in two lines.

.. |method| replace:: span voting
.. _intro:

Introduction
============

Answers by |method| need *evidence*; see :ref:`the method <method>` and :math:`p(a \\mid q)` [Cit2002]_,
as `earlier work <https://example.org/w>`_ [#f1]_ did with ``argmax``.

.. note:: Spans count characters
   of the decoded file.

.. _method:

Method
------

- retrieve passages
  with a dense index
- score spans:

  - first by length
  - then by overlap

1. one
2. two

term : kind
    What the term means.

.. math::
   :label: loss

   L = -\\sum_i \\log p_i

   + \\lambda \\|w\\|

.. code-block:: python
   :linenos:

   def loss(p):
       return -log(p).sum()

.. figure:: plot.png
   :alt: a plot

   Recall against *budget*.

.. table:: Recall

   ======= ======
   Model   Recall
   ======= ======
   Dense   0.71
   Sparse  0.64
   ======= ======

+-------+---------+
| k     | spans   |
+=======+=========+
| 5     | 10      |
+-------+---------+

.. prf:theorem:: Bound

   Recall never falls.

    A quoted line.

.. comment that nobody sees

.. [#f1] With another index.

.. [Cit2002] C. Ite, *On Spans*, 2002.
"""


def _blocks(rendered, source):
    places = rendered.source_map
    columns = (places.text_starts, places.text_ends, places.source_starts, places.source_ends)
    return [(rendered.text[a:b], source[c:d]) for a, b, c, d in zip(*columns, strict=True)]


def _words(text):
    return Counter(re.findall(r"\w{3,}", text))


def test_title_authors_and_year_come_from_the_field_list():
    rendered = read(PAPER.encode())
    assert rendered.title == "Spans for Cited Answers"
    assert rendered.authors == ("Ada Byron", "Bo Li", "Cy Twombly")
    assert rendered.year == 2021


def test_sections_become_headings_of_their_depth():
    headings = [line for line in read(PAPER.encode()).text.split("\n") if line.startswith("#")]
    expected = ["# Spans for Cited Answers", "## Abstract", "## Introduction", "### Method", "## References"]
    assert headings == expected


@pytest.mark.parametrize(
    "words",
    [
        "Answers by span voting need *evidence*; see the method and $p(a \\mid q)$ [Cit2002], as "
        "[earlier work](https://example.org/w) [^f1] did with `argmax`.",
        "Spans count characters of the decoded file.",
        "- retrieve passages with a dense index\n\n- score spans:\n\n  - first by length\n\n  - then by overlap",
        "1. one\n\n2. two",
        "**term : kind**\n\nWhat the term means.",
        "$$\nL = -\\sum_i \\log p_i\n+ \\lambda \\|w\\|\n$$",
        "```python\ndef loss(p):\n    return -log(p).sum()\n```",
        "Figure: Recall against *budget*.",
        "Table: Recall\n\n| Model | Recall |\n|---|---|\n| Dense | 0.71 |\n| Sparse | 0.64 |",
        "| k | spans |\n|---|---|\n| 5 | 10 |",
        "Bound\n\nRecall never falls.\n\n> A quoted line.",
        "[^f1]: With another index.",
        "## References\n\n[Cit2002] C. Ite, *On Spans*, 2002.",
    ],
)
def test_each_element_has_its_markdown(words):
    assert words in read(PAPER.encode()).text


def test_comments_and_targets_are_no_text():
    text = read(PAPER.encode()).text
    assert "nobody" not in text
    assert "_intro" not in text


def test_every_block_knows_where_its_words_stood():
    for block, source in _blocks(read(PAPER.encode()), PAPER):
        if "span voting" not in block and block not in ("## References",):
            assert not _words(re.sub(r"^(Figure|Table): ", "", block)) - _words(source), block


def test_spans_neither_overlap_nor_take_in_the_next_element():
    spans = [source for _, source in _blocks(read(PAPER.encode()), PAPER)]
    assert "Introduction\n============" in spans
    assert ".. [#f1] With another index." in spans
    assert "- retrieve passages\n  with a dense index" in spans
    assert not any("nobody" in span or "replace::" in span for span in spans)


def test_line_breaks_of_windows_and_odd_ones_do_not_shift_spans():
    source = "Title\r\n=====\r\n\r\nOne\x0b\u2028two.\r\n\r\nThree.\r\n".encode()
    decoded = source.decode().replace("\r\n", "\n")
    assert _blocks(read(source), decoded)[-1] == ("Three.", "Three.")


@pytest.mark.parametrize(
    ("markup", "markdown"),
    [
        ("a \\*star\\* and \\|bar", "a \\*star\\* and \\|bar"),
        ("H\\ :sub:`2`\\ O", "H_2O"),
        (":cite:`byron1843` and :eq:`loss`", "[byron1843] and (loss)"),
        (":py:func:`~lectern.spans.read`", "`read`"),
        ("`x`:math: and `plain`", "$x$ and *plain*"),
        ("a name_with_underscores and link_ and anon__.", "a name_with_underscores and link and anon."),
        ("an unclosed *star and `tick", "an unclosed *star and `tick"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("[*]_ [#]_ [12]_", "[^symbol1] [^auto1] [^12]"),
        ("|undefined| text", "undefined text"),
    ],
)
def test_inline_markup_becomes_markdown(markup, markdown):
    assert read(f"Start: {markup}".encode()).text == f"Start: {markdown}\n"


def test_numberless_footnotes_meet_their_definitions():
    text = read(b"One [#]_ two [#]_.\n\n.. [#] First.\n.. [#] Second.\n").text
    assert text == "One [^auto1] two [^auto2].\n\n[^auto1]: First.\n\n[^auto2]: Second.\n"


def test_unknown_directives_keep_argument_and_body_and_lose_options():
    text = read(b".. proof:lemma:: Small *sets*\n   :label: l1\n   :class: x\n\n   They are `small`.\n").text
    assert text == "Small *sets*\n\nThey are *small*.\n"


def test_lists_and_csv_as_tables():
    source = b".. list-table:: Sizes\n   :header-rows: 1\n\n   * - a\n     - b\n   * - c\n     - d\n\n"
    source += b'.. csv-table:: Table 2. Costs\n   :header: "x", "y"\n\n   1, "2, 3"\n'
    text = read(source).text
    assert "Table: Sizes\n\n| a | b |\n|---|---|\n| c | d |" in text
    assert "Table 2. Costs\n\n| x | y |\n|---|---|\n| 1 | 2, 3 |" in text


def test_no_other_file_is_read_and_nothing_is_printed(tmp_path, capfd):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret words")
    source = f"Text.\n\n.. include:: {secret}\n\n.. raw:: html\n   :file: {secret}\n\n"
    source += f".. csv-table:: T\n   :file: {secret}\n\n:unknown:`role` and *broken\n\n===\nbad\n==\n"
    assert "secret words" not in read(source.encode()).text
    assert capfd.readouterr() == ("", "")


def test_a_broken_table_stays_as_code():
    text = read(b"=====  =====\nA      B\n=====  =====\n1 2 3 4 5 6 7\n=====  =====\n\nAfter.\n").text
    assert "1 2 3 4 5 6 7" in text
    assert text.endswith("After.\n")


def test_a_long_substitution_is_not_multiplied():
    source = f".. |x| replace:: {'long ' * 100}\n\n{'|x| ' * 1000}\n"
    assert len(read(source.encode()).text) < len(source)


@pytest.mark.parametrize(
    ("source", "reason", "words"),
    [
        ("", "empty", "0 bytes"),
        (".. only a comment\n", "whitespace_only", "no text"),
        ("- " * 5000 + "a", "damaged", "nested too deeply"),
        ("".join(" " * i + "a\n\n" for i in range(1000)), "damaged", "nested too deeply"),
        ("+" + "-+" * 3000 + "\n", "damaged", "table wider than"),
        ("".join(f".. n{i}:: a\n\n" for i in range(2000)), "damaged", "different directives"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_the_reason(source, reason, words):
    with pytest.raises(DocumentRejected) as rejected:
        read(source.encode())
    assert rejected.value.reason == reason
    assert words in rejected.value.detail


INLINE = [
    "*a ",
    "**a ",
    "`a ",
    "``a ",
    "`a <",
    "[a ",
    "[",
    "|a ",
    "a_ ",
    "_",
    ":a:`b ",
    ":a:",
    "`a`:b",
    "\\",
    "x.",
    "http://a.b ",
]
BLOCKS = [
    "- a\n",
    "a\n b\n",
    ":a: b\n",
    "| a\n",
    ".. [#] a\n",
    ".. x:: a\n\n",
    "T\n=\n\n",
    "=== ===\na b\n",
    "::\n\n a\n\n",
    "a\n\n",
]


@pytest.mark.parametrize("piece", INLINE + BLOCKS)
def test_time_grows_with_the_size(piece):
    assert_linear(lambda count: read(("x\n\n" + piece * count).encode()), 500 if piece in BLOCKS else 20_000)


def test_a_very_long_line_is_read():
    assert len(read(("word " * 400_000).encode()).text) == 5 * 400_000
