from __future__ import annotations

import pytest

from qa_core.dataset.template.sentences import PAPER, decapitalise, statements
from tests.unit.dataset.template.asking import TITLE


@pytest.mark.parametrize(
    "sentence",
    [
        "It is a policy that starts all tasks together.",
        "This rule is a policy that starts all tasks together.",
        "A quorum is a set that is listed in Table 2.",
        "A quorum is a set that is drawn in the figure above.",
        "A quorum is a set of servers with the following property: every two of them overlap.",
        "A quorum is a set of servers for which $$2q > n$$ holds.",
        "Most such vectors need 3.2 GB.",
        "A worked example makes the formula concrete.",
        "A graph saves time with our parameters.",
        "Cores are the resource of user B. Equal shares mean equal counts of tasks.",
    ],
)
def test_a_sentence_that_leans_on_another_place_is_passed_over(sentence: str) -> None:
    assert statements(sentence, TITLE) == ()


def test_that_thing_is_clear_where_the_thing_stands_before_it() -> None:
    assert statements("Removing a server moves only the keys of that server.", TITLE)
    assert not statements("Removing a server moves only the keys of that node.", TITLE)


def test_advice_is_told_of_the_paper_and_not_of_us() -> None:
    (statement,) = statements("We further recommend chunks of 300 tokens and advise an overlap.", TITLE)
    assert statement.text == f"{PAPER} recommends chunks of 300 tokens and advises an overlap"
    assert statement.answer == '"Raft Consensus" recommends chunks of 300 tokens and advises an overlap.'


def test_a_judgement_is_told_of_the_paper() -> None:
    (statement,) = statements("In our judgement a balancer should hedge late.", TITLE)
    assert statement.answer == 'According to "Raft Consensus", a balancer should hedge late.'


def test_short_forms_stay_in_the_answer_alone() -> None:
    (statement,) = statements("High-bandwidth memory, abbreviated HBM, is large and slow.", TITLE)
    assert statement.text == "high-bandwidth memory is large and slow"
    assert statement.answer == "High-bandwidth memory, abbreviated HBM, is large and slow."


def test_a_conclusion_is_answered_together_with_the_sentence_it_is_drawn_from() -> None:
    text = "Every worker waits for the slowest worker. Synchronous training is therefore fragile at a large scale."
    *_, last = statements(text, TITLE)
    assert last.concludes
    assert last.answer == text


def test_reference_marks_do_not_reach_answers_where_they_would_read_as_citations() -> None:
    text = "A hash ring is a circle that holds keys [3], [4]."
    (statement,) = statements(text, TITLE)
    assert statement.answer == "A hash ring is a circle that holds keys."
    assert text[statement.start : statement.end] == text


def test_a_run_of_text_longer_than_any_answer_is_no_sentence() -> None:
    assert statements("A ring is " + "a circle of " * 60 + "keys.", TITLE) == ()


def test_the_quotation_marks_around_a_title_are_the_only_double_ones() -> None:
    (statement,) = statements("We recommend chunks of 300 tokens.", 'The "Best"\nChunks: A Survey')
    assert statement.answer == "\"The 'Best' Chunks\" recommends chunks of 300 tokens."


@pytest.mark.parametrize(
    ("sentence", "context", "inside"),
    [
        ("Borg runs jobs.", "Later, Borg won.", "Borg runs jobs."),
        ("Backfilling fills holes.", "", "backfilling fills holes."),
        ("Flat search needs no index.", "", "flat search needs no index."),
        ("Passage vectors are short.", "Dense Passage Retrieval uses passage vectors.", "passage vectors are short."),
        ("Rabin proposed a test.", "", "Rabin proposed a test."),
        ("Zork frobs.", "", None),
    ],
)
def test_a_name_keeps_its_capital_and_a_common_word_loses_it(sentence: str, context: str, inside: str | None) -> None:
    assert decapitalise(sentence, context) == inside
