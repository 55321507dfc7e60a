"""Questions about a passage: those of the template teacher, and fragments of any sentence in the frame of a question.

The teacher's rules fit one sentence in five. A reader has to learn from all of them which sentence a question is
about, so for the others words of the sentence itself are put behind a question word, as in the inverse cloze task (Lee
et al., "Latent Retrieval for Weakly Supervised Open Domain Question Answering", 2019, arXiv 1906.00300).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from qa_core.dataset.requests import Request, Source
from qa_core.dataset.template.frames import IN_CONTEXT
from qa_core.dataset.template.teacher import TemplateTeacher
from qa_core.generation.chat import unmarked
from tools.reader.corpus import Lesson

TEACHER_TYPES = ("factual", "analytical", "hypothetical", "definition", "procedure", "numeric")
_MOST_QUESTIONS = 50
"""Of one type about one passage: more than any passage has."""
_FRAMES = (
    "What happens when {}?", "Why {}?", "How {}?", "What is {}?", "What are {}?", "What does {} do?", "Where {}?",
    "How does {} work?", "When {}?", "Which {}?", "What is the effect of {}?", "What is the role of {}?", "Who {}?",
    "How do {} compare?", "How many {}?", "How much {}?", "What did {}?", "What can {}?", "Why is {} needed?",
    "What is known about {}?", "How is {} done?", "What do {} have in common?", "Does {}?", "Is it true that {}?",
)  # fmt: skip
_ENDS = re.compile(r"[.!,;:()\"]+(?=\s|$)|(?<=\s)[(\"]+")
_NAMING_SHARE = 0.2
_SHORT_WORD = 3
"""Letters up to which a word says little of what a sentence is about."""


@dataclass(frozen=True)
class Reading:
    """A question and the answer that one passage gives."""

    question: str
    answer: str


@dataclass(frozen=True)
class Pupil:
    """A lesson with what the template teacher asks about it."""

    lesson: Lesson
    readings: tuple[Reading, ...]
    open_questions: tuple[str, ...]
    """On the passage's matter, and left open by the passage."""


def pupils(lessons: Sequence[Lesson]) -> list[Pupil]:
    return [
        Pupil(
            lesson,
            tuple(_ask(lesson, TEACHER_TYPES)),
            tuple(reading.question for reading in _ask(lesson, ("unanswerable",))),
        )
        for lesson in lessons
    ]


def fragment_reading(sentence: str, title: str, reach: int, draw: random.Random) -> Reading:
    """A question that shares some words, in order, with ``sentence``, which is the answer; some name the paper first,
    as the template teacher's do."""
    words = _ENDS.sub("", sentence).split()
    size = draw.randint(3, min(10, len(words)))
    start = draw.randint(0, min(reach, len(words) - size))
    for _ in range(8):
        if any(len(word) > _SHORT_WORD for word in words[start : start + size]):
            break
        start = draw.randint(0, min(reach, len(words) - size))
    fragment = words[start : start + size]
    if draw.random() < 0.4:
        fragment = [word for word in fragment if draw.random() < 0.8] or fragment
    if draw.random() < 0.3 and reach:
        second = draw.randint(0, len(words) - 2)
        fragment += words[second : second + draw.randint(1, 3)]
    if fragment[0][1:].islower():
        fragment[0] = fragment[0].lower()
    question = draw.choice(_FRAMES).format(" ".join(fragment))
    if draw.random() < _NAMING_SHARE:
        question = IN_CONTEXT.format(topic=title.split(": ")[0], question=f"{question[0].lower()}{question[1:]}")
    return Reading(f"{question[0].upper()}{question[1:]}", sentence)


def _ask(lesson: Lesson, types: tuple[str, ...]) -> list[Reading]:
    passage = lesson.passage
    source = Source(passage.chunk_id, passage.doc_id, passage.title, "prose", passage.prefix, 0, passage.text)
    found = []
    for question_type in types:
        request = Request("", question_type, 0, _MOST_QUESTIONS, (source,), (), "")
        for pair in json.loads(TemplateTeacher(seed=0).reply(request))["pairs"]:
            found.append(Reading(pair["question"], unmarked(" ".join(pair["answer"].split()))))
    return found
