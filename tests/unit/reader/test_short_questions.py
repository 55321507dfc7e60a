"""Short questions name what one sentence is about, and are asked only where no other sentence answers as well."""

from __future__ import annotations

import random

from qa_core.terms import content_stems
from tools.reader.short_questions import short_question

SENTENCE = "Virtual nodes spread the load because each server has many places on the ring."
OTHERS = ["A server that joins takes keys from its neighbour only.", "The ring is scanned from a key onwards."]


def drawn(others: list[str], silent: list[str] | None = None) -> list[str]:
    draws = (short_question(SENTENCE, others, random.Random(seed), silent or []) for seed in range(200))
    return [question for question in draws if question]


def test_a_short_question_has_a_word_of_its_sentence_and_no_more_than_four() -> None:
    questions = drawn(OTHERS)
    assert len(set(questions)) > 50
    for question in questions:
        assert 1 <= len(content_stems(question) & content_stems(SENTENCE)) <= 4


def test_a_name_that_another_sentence_begins_with_is_not_asked_for() -> None:
    name = content_stems("virtual nodes")
    assert any(content_stems(question) == name for question in drawn(OTHERS))
    rivals = [*OTHERS, "Virtual nodes were proposed for Dynamo."]
    assert not any(content_stems(question) == name for question in drawn(rivals))


def test_what_no_passage_answers_is_not_even_mentioned_in_one() -> None:
    mentioned = ["Dynamo was the first to do without virtual nodes, as each server has places on the ring and load."]
    for question in drawn([], mentioned):
        asked = content_stems(question) & content_stems(SENTENCE)
        assert not asked <= content_stems(mentioned[0])


def test_endings_change_and_meet_their_words_all_the_same() -> None:
    assert any("node " in f"{question.strip('?.')} " for question in drawn(OTHERS))
