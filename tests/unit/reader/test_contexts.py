"""Contexts show some passages and ask about them: right answers cite the right passage, others abstain."""

from __future__ import annotations

import random

from qa_core.generation.chat import ABSTENTION, cited_numbers, strip_citations
from tools.reader.contexts import Classroom, Context, Course
from tools.reader.exam import exam
from tools.reader.questions import Pupil, fragment_reading


def drawn(pupils: list[Pupil], absent: float, seed: int = 3) -> list[Context]:
    classroom = Classroom(pupils, random.Random(seed))
    course = Course(most_passages=2, reach=40, absent=absent)
    return [classroom.context(course) for _ in range(30)]


def test_an_answer_cites_the_passage_it_stands_in(class_of_pupils: list[Pupil]) -> None:
    for context in drawn(class_of_pupils, absent=0.0):
        for branch in context.branches:
            (number,) = cited_numbers(branch.answer, len(context.passages))
            assert strip_citations(branch.answer) in " ".join(context.passages[number - 1].text.split())


def test_a_question_about_another_passage_is_answered_with_an_abstention(class_of_pupils: list[Pupil]) -> None:
    for context in drawn(class_of_pupils, absent=1.0):
        assert {branch.answer for branch in context.branches} == {ABSTENTION}


def test_the_same_seed_draws_the_same_contexts_and_another_seed_others(class_of_pupils: list[Pupil]) -> None:
    assert drawn(class_of_pupils, 0.2) == drawn(class_of_pupils, 0.2)
    assert drawn(class_of_pupils, 0.2) != drawn(class_of_pupils, 0.2, seed=4)


def test_a_fragment_question_shares_words_with_its_sentence_and_begins_within_reach() -> None:
    sentence = "The leader sends heartbeats to all followers because a silent leader would lose its office."
    for seed in range(50):
        reading = fragment_reading(sentence, "Hash tables: an overview", 0, random.Random(seed))
        assert reading.answer == sentence
        assert reading.question.endswith("?")
        assert {"leader", "sends", "heartbeats"} & set(reading.question.strip("?").split())


def test_an_exam_shows_the_gold_passage_or_leaves_it_out(class_of_pupils: list[Pupil]) -> None:
    answerable, unanswerable = exam(class_of_pupils, count=5, seed=0)
    documents = {
        reading.question: pupil.lesson.passage.doc_id for pupil in class_of_pupils for reading in pupil.readings
    }
    for question in answerable:
        assert question.doc_id == documents[question.question]
        assert question.answer in " ".join(question.passages[question.gold - 1].text.split())
    assert all(question.gold == 0 and not question.answer for question in unanswerable)
