"""What the reader is shown: passages once, and many questions about them that do not see each other.

Reading the passages costs ten times what a question costs. So one context is a prompt up to its question and, behind
it, a number of branches (question, answer), each at the positions that follow the prompt and each attending to the
prompt and to itself alone: token for token what the model sees when it is asked that question only.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from qa_core.generation.chat import ABSTENTION, cited_answer
from qa_core.schemas import Passage
from tools.reader.questions import Pupil, Reading, fragment_reading
from tools.reader.short_questions import short_question


@dataclass(frozen=True)
class Branch:
    question: str
    answer: str
    passage: int = 0
    """Number of the passage that answers, from 1; 0 where none does."""
    sentence: str = ""
    """The sentence of it that answers."""


@dataclass(frozen=True)
class Context:
    passages: tuple[Passage, ...]
    sentences: tuple[tuple[str, ...], ...]
    """Of each passage."""
    branches: tuple[Branch, ...]


@dataclass(frozen=True)
class Course:
    """How contexts are drawn at one time of the training."""

    most_passages: int
    reach: int
    """Words into its sentence at which a fragment may begin: a sentence is found most easily by its first words."""
    absent: float
    """Share of the questions that the passages do not answer."""
    taught: float = 0.5
    """Share of the questions that are the template teacher's, where it has any."""
    short: float = 0.0
    """Share of the other questions that are short ones."""
    branches: int = 12
    same_document: float = 0.6
    """Share of the passages beside the first that come from the same document, as retrieval's do."""


@dataclass
class Classroom:
    """Draws contexts from pupils; a seed fixes the whole sequence."""

    pupils: Sequence[Pupil]
    draw: random.Random
    _by_document: dict[str, list[Pupil]] = field(init=False)

    def __post_init__(self) -> None:
        self._by_document = {}
        for pupil in self.pupils:
            self._by_document.setdefault(pupil.lesson.passage.doc_id, []).append(pupil)

    def context(self, course: Course) -> Context:
        chosen = [self.draw.choice(self.pupils)]
        for _ in range(self.draw.randint(1, course.most_passages) - 1):
            other = self._beside(chosen[0], course)
            if other not in chosen:
                chosen.append(other)
        self.draw.shuffle(chosen)
        branches = [self._branch(chosen, course) for _ in range(course.branches)]
        return Context(
            tuple(pupil.lesson.passage for pupil in chosen),
            tuple(pupil.lesson.sentences for pupil in chosen),
            tuple(branches),
        )

    def _beside(self, pupil: Pupil, course: Course) -> Pupil:
        if self.draw.random() < course.same_document:
            return self.draw.choice(self._by_document[pupil.lesson.passage.doc_id])
        return self.draw.choice(self.pupils)

    def _branch(self, chosen: Sequence[Pupil], course: Course) -> Branch:
        if self.draw.random() < course.absent:
            return Branch(self._absent_question(chosen, course), ABSTENTION)
        number = self.draw.randrange(len(chosen))
        reading = self._reading(chosen[number], course, beside=chosen)
        answer = cited_answer([(reading.answer, [number + 1])], {})
        return Branch(reading.question, answer, number + 1, reading.answer)

    def _reading(
        self, pupil: Pupil, course: Course, beside: Sequence[Pupil] = (), silent: Sequence[Pupil] = ()
    ) -> Reading:
        """A question that ``pupil``'s passage answers, no other sentence of ``beside`` as well, and ``silent`` not."""
        if pupil.readings and self.draw.random() < course.taught:
            return self.draw.choice(pupil.readings)
        sentence = self.draw.choice(pupil.lesson.sentences)
        if self.draw.random() < course.short:
            others = [other for other in _sentences(beside) if other != sentence]
            if question := short_question(sentence, others, self.draw, _sentences(silent)):
                return Reading(question, sentence)
        return fragment_reading(sentence, pupil.lesson.passage.title, course.reach, self.draw)

    def _absent_question(self, chosen: Sequence[Pupil], course: Course) -> str:
        open_questions = [question for pupil in chosen for question in pupil.open_questions]
        if open_questions and self.draw.random() < course.taught:
            return self.draw.choice(open_questions)
        other = self._beside(self.draw.choice(chosen), course)
        if other in chosen:
            other = self.draw.choice([pupil for pupil in self.pupils if pupil not in chosen])
        return self._reading(other, course, silent=chosen).question


def _sentences(pupils: Sequence[Pupil]) -> list[str]:
    return [sentence for pupil in pupils for sentence in pupil.lesson.sentences]
