from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_core.dataset.checks.evidence import Evidence, locate
from qa_core.dataset.checks.rejection import Rejection
from qa_core.dataset.proposals import Quote
from tests.unit.corpus.timing import assert_linear
from tests.unit.dataset.checks.making import source, spans

TEXT = (
    "Intro. A **block** holds “16 tokens” by default — the ﬁrst café\n  uses `max_tokens`; see 2016. The end of A -- B."
)


def only(quote: str, text: str = TEXT) -> str:
    (span,) = spans(quote, of=source(text))
    return span.text


def reason(quote: str, text: str = TEXT, **changes: object) -> str:
    found = locate([Quote(1, quote)], [source(text, **changes)])
    assert isinstance(found, Rejection), found
    assert found.stage == "evidence"
    return found.reason


def test_a_span_is_told_in_characters_of_the_document() -> None:
    assert spans("block holds", "16 tokens", of=source("One block holds 16 tokens.", kind="table")) == [
        Evidence("c1", "block holds", 104, 115),
        Evidence("c1", "16 tokens", 116, 125),
    ]


@pytest.mark.parametrize(
    "quote",
    [
        'A block holds "16 tokens" by default - the first cafe uses max_tokens',
        "a block holds 16 tokens by default — the first café\nuses max_tokens.",
        "  “A block holds '16 tokens' by default–the first café uses *max_tokens*,”  ",
        "... A block holds “16 tokens” by default — the ﬁrst cafe\u0301 uses max_tokens…",
        "A\u00a0block holds\u200b “16 tokens” by default --- the first café uses max\\_tokens",
    ],
)
def test_what_copying_changes_does_not_hide_a_quote(quote: str) -> None:
    assert only(quote) == "A **block** holds “16 tokens” by default — the ﬁrst café\n  uses `max_tokens`"


def test_a_span_holds_both_halves_of_emphasis_and_code() -> None:
    assert only("block holds “16") == "**block** holds “16"
    assert only("the first café uses max_tokens") == "the ﬁrst café\n  uses `max_tokens`"


def test_an_accent_that_is_a_character_of_its_own_belongs_to_its_letter() -> None:
    assert only("uses the café", "she uses the cafe\u0301 daily") == "uses the cafe\u0301"


def test_a_quote_that_leaves_out_its_middle_is_a_span_for_each_part() -> None:
    found = spans("A block holds … see 2016 [...] The end of", of=source(TEXT))
    assert [span.text for span in found] == ["A **block** holds", "see 2016", "The end of"]


def test_a_span_that_is_quoted_twice_is_told_once() -> None:
    assert len(spans("A block holds", "a block holds", of=source(TEXT))) == 1


def test_whole_words_are_preferred_to_an_earlier_place_inside_of_words() -> None:
    assert spans("set of keys", of=source("A reset of keyspace, then a set of keys."))[0].start_char == 128


def test_a_long_quote_that_ends_inside_a_word_is_widened_to_it() -> None:
    assert only("lock holds 16 tok") == "**block** holds “16 tokens"


@pytest.mark.parametrize("quote", ["201", "16", "20"])
def test_a_number_is_not_found_inside_a_longer_one(quote: str) -> None:
    assert reason(quote, "It was in 2016 and in 20165.") == "evidence_not_found"


@pytest.mark.parametrize("quote", ["no such words here", "A block holds 32 tokens", "...", "*", "A block holds ... no"])
def test_what_the_source_does_not_say_is_not_found(quote: str) -> None:
    assert reason(quote) == "evidence_not_found"


def test_a_quote_must_be_of_the_passage_it_names() -> None:
    sources = [source("The first one says this."), source("The second one says that.", 2)]
    assert isinstance(locate([Quote(1, "second one says")], sources), Rejection)
    found = locate([Quote(2, "second one says")], sources)
    assert [span.chunk_id for span in found] == ["c2"]  # type: ignore[union-attr]


def test_two_words_show_little_unless_they_hold_a_number_or_are_of_a_table() -> None:
    assert reason("a block", "So a block holds 16 tokens.") == "evidence_too_short"
    assert only("16 tokens", "So a block holds 16 tokens.") == "16 tokens"
    assert spans("a block", of=source("| a block |", kind="table"))[0].text == "a block"


def test_a_script_without_spaces_has_words_all_the_same() -> None:
    assert only("缓存被分成块", "键值缓存被分成块。") == "缓存被分成块"
    assert reason("缓存", "键值缓存被分成块。") == "evidence_too_short"


def test_a_word_without_end_is_not_taken_for_one() -> None:
    assert reason("b c aaaa", "b c " + "a" * 1000) == "evidence_not_found"
    assert reason("aaaa b c", "a" * 1000 + " b c") == "evidence_not_found"


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60), st.data())
def test_a_span_is_always_the_sources_own_text(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    quote = text[start : data.draw(st.integers(start, len(text)))]
    found = locate([Quote(1, quote)], [source(text, kind="table")])
    for span in found if isinstance(found, list) else ():
        assert span.text == text[span.start_char - 100 : span.end_char - 100] != ""


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.lists(st.sampled_from(["block", "16", "α", "the", "k_1", "—", "naïve", "“x”"]), min_size=3, max_size=20),
    st.data(),
)
def test_a_run_of_whole_words_is_always_found(words: list[str], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(words) - 3))
    last = data.draw(st.integers(first + 3, len(words)))
    quote = " ".join(words[first:last])
    if any(character.isalnum() for character in quote):
        assert isinstance(locate([Quote(1, quote)], [source(" ".join(words), kind="table")]), list)


@pytest.mark.parametrize("pattern", ["a", "ab ", "é", "“", "1,", "*", "a\u0301"])
def test_time_is_linear_in_a_hostile_source(pattern: str) -> None:
    def search(size: int) -> None:
        text = pattern * size
        for quote in (f"{text[: size // 2]} x y z", f"{pattern * 3} x y z"):
            locate([Quote(1, quote)], [source(text)])

    assert_linear(search, 10_000)
