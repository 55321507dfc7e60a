from __future__ import annotations

import time

import pytest

from qa_core.corpus.sentences import sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


def test_plain_sentences_are_split_after_their_mark():
    assert sentences("One is here. Two is there! Is three? Yes.") == [
        "One is here.",
        "Two is there!",
        "Is three?",
        "Yes.",
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "The rate is 3.14 per second and version 2.0 is faster.",
        "Smith et al. [1] and Fig. 2 of Sec. 3 agree, cf. Eq. (4).",
        "Some tools, e.g. Ray, i.e. a runtime, scale vs. one node.",
        "The model of T. Dettmers and L. B. Zettlemoyer is used.",
        "It holds for $x. Y$ and `a. B` alike.",
        "Dr. Lamport et al. proved it in vol. 3, no. 2, pp. 12.",
        "The i.i.d. assumption w.r.t. the U.S. data holds.",
        "Table 1. Storage of the formats.",
        "1. Item of a list.",
        "Is it ... perhaps so?",
    ],
)
def test_a_full_stop_inside_a_sentence_does_not_end_it(sentence: str):
    assert sentences(f"{sentence} Next one.") == [sentence, "Next one."]


def test_a_letter_or_number_can_end_a_sentence():
    assert sentences("See appendix A. The rest follows.") == ["See appendix A.", "The rest follows."]
    assert sentences("It was built in 2019. It works.") == ["It was built in 2019.", "It works."]
    assert sentences("The answer is no. The end.") == ["The answer is no.", "The end."]


def test_closing_marks_and_attached_citations_belong_to_the_sentence():
    text = 'He said "no." (Then he left.) It was proven.[1] So it is.'
    assert sentences(text) == ['He said "no."', "(Then he left.)", "It was proven.[1]", "So it is."]


def test_prices_are_no_math():
    assert sentences("It costs $5 million. It then cost $10 more.") == [
        "It costs $5 million.",
        "It then cost $10 more.",
    ]


def test_structure_ends_a_sentence_without_a_mark():
    text = "As follows:\n\n- one item\n- two items\n\nAnd a\nwrapped line"
    assert sentences(text) == ["As follows:", "- one item", "- two items", "And a\nwrapped line"]


def test_chinese_sentences_need_no_space_between_them():
    assert sentences("这是第一句。这是第二句！好吗？") == ["这是第一句。", "这是第二句！", "好吗？"]


def test_spans_cover_all_that_is_not_white_space():
    text = "  One. Two\n\n\n three...   \n# Four\n"
    covered = {i for start, end in sentence_spans(text) for i in range(start, end)}
    assert all(i in covered for i, char in enumerate(text) if not char.isspace())


@pytest.mark.parametrize("piece", [".", "$a ", "` ", "\\( ", "A. ", "a.)", "\n ", "a.[1]", "[", "e.g. "])
def test_time_grows_with_the_text_and_not_with_its_square(piece: str):
    # A quadratic splitter would need hours for 100,000 of them.
    started = time.process_time()
    sentence_spans(piece * 100_000 + "x")
    assert time.process_time() - started < 30
