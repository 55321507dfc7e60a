"""Questions from the documents that the reader never saw, each with three passages of which one answers it, or none."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from qa_core.schemas import Passage
from tools.reader.questions import Pupil

_NUM_PASSAGES = 3


@dataclass(frozen=True)
class ExamQuestion:
    doc_id: str
    """The document that is asked about; a distractor may be of another."""
    question: str
    answer: str
    """The gold sentence; empty where the passages do not hold an answer."""
    passages: tuple[Passage, ...]
    gold: int
    """Number of the passage that answers, from 1; 0 where none does."""


def exam(pupils: Sequence[Pupil], count: int, seed: int) -> tuple[list[ExamQuestion], list[ExamQuestion]]:
    """``count`` answerable questions of the template teacher, drawn at random, and unanswerable ones.

    Distractors come from the same document where it has enough passages, as a search would bring them. Unanswerable
    are the same questions without their passage, and the teacher's questions that a shown passage leaves open, as many
    of these as there are.
    """
    draw = random.Random(seed)
    asked = [(pupil, reading) for pupil in pupils for reading in pupil.readings]
    draw.shuffle(asked)
    answerable, unanswerable = [], []
    for pupil, reading in asked[:count]:
        doc_id = pupil.lesson.passage.doc_id
        others = _others(pupil, pupils, reading.answer, draw)
        answerable.append(_question(doc_id, reading.question, reading.answer, [pupil, *others[:-1]], pupil, draw))
        unanswerable.append(_question(doc_id, reading.question, "", others, None, draw))
    for pupil in pupils:
        for question in pupil.open_questions:
            others = _others(pupil, pupils, question, draw)
            unanswerable.append(_question(pupil.lesson.passage.doc_id, question, "", [pupil, *others[:-1]], None, draw))
    return answerable, unanswerable


def _question(
    doc_id: str, question: str, answer: str, shown: list[Pupil], gold: Pupil | None, draw: random.Random
) -> ExamQuestion:
    draw.shuffle(shown)
    passages = tuple(pupil.lesson.passage for pupil in shown)
    return ExamQuestion(doc_id, question, answer, passages, shown.index(gold) + 1 if gold else 0)


def _others(pupil: Pupil, pupils: Sequence[Pupil], answer: str, draw: random.Random) -> list[Pupil]:
    """Three passages without ``answer``."""

    def is_other(other: Pupil) -> bool:
        return other is not pupil and answer not in other.lesson.sentences

    near = [p for p in pupils if p.lesson.passage.doc_id == pupil.lesson.passage.doc_id and is_other(p)]
    chosen = draw.sample(near, min(_NUM_PASSAGES, len(near)))
    if len(chosen) < _NUM_PASSAGES:
        far = [p for p in pupils if is_other(p) and p not in chosen]
        chosen += draw.sample(far, min(_NUM_PASSAGES - len(chosen), len(far)))
    return chosen
