"""A question to an answer with citations: the one path of evaluation, ``lectern ask`` and the service.

``compose`` is the pure middle (passages to messages); ``Answerer`` puts a retriever before it and an engine behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from qa_core.config import RetrievalSettings
from qa_core.generation.chat import build_messages, cited_numbers
from qa_core.generation.sampling import SamplingParams
from qa_core.retrieval.context import fit_to_budget
from qa_core.schemas import Message, Passage

if TYPE_CHECKING:  # the engine and the retriever load native libraries; composing messages must not
    from qa_core.generation.engine import Engine
    from qa_core.retrieval.retriever import Retriever

Mode = Literal["standalone", "rag"]


@dataclass(frozen=True)
class Prepared:
    """What is sent to the model for one question."""

    messages: list[Message]
    passages: list[Passage]
    """The passages in the prompt; passage ``n`` is ``passages[n - 1]``."""
    retrieved: list[Passage]
    """What retrieval returned before the prompt budget; ``passages`` are its beginning."""


@dataclass(frozen=True)
class Answer:
    text: str
    """As generated, with its ``[n]`` marks."""
    passages: list[Passage]
    retrieved: list[Passage]
    cited: list[int]
    """Numbers of the passages that the text marks, in order of first mention."""
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str


def compose(
    question: str, retrieved: Sequence[Passage], settings: RetrievalSettings, count_tokens: Callable[[str], int]
) -> Prepared:
    """Chat messages for ``question`` with as many of ``retrieved`` as the prompt budget allows."""
    passages = fit_to_budget(retrieved, settings, count_tokens)
    return Prepared(build_messages(question, passages), passages, list(retrieved))


class Answerer:
    """Answers questions in-process. A retriever is needed for mode ``rag`` only."""

    def __init__(
        self, engine: Engine, params: SamplingParams, settings: RetrievalSettings, retriever: Retriever | None = None
    ) -> None:
        self._engine = engine
        self._params = params
        self._settings = settings
        self._retriever = retriever

    def answer(self, question: str, mode: Mode = "rag") -> Answer:
        return self.answer_all([question], mode)[0]

    def answer_all(self, questions: Sequence[str], mode: Mode = "rag") -> list[Answer]:
        """One answer a question, in order, decoded together. Raises ``PromptTooLong`` like the engine."""
        prepared = [self.prepare(question, mode) for question in questions]
        prompts = [self._engine.chat_prompt(item.messages) for item in prepared]
        completions = self._engine.generate(prompts, self._params)
        return [
            Answer(
                text=completion.text,
                passages=item.passages,
                retrieved=item.retrieved,
                cited=cited_numbers(completion.text, len(item.passages)),
                prompt_tokens=completion.prompt_tokens,
                completion_tokens=completion.completion_tokens,
                finish_reason=completion.finish_reason,
            )
            for item, completion in zip(prepared, completions, strict=True)
        ]

    def prepare(self, question: str, mode: Mode) -> Prepared:
        """Messages and passages for ``question``; standalone messages carry no passages."""
        if mode == "standalone":
            return Prepared(build_messages(question), [], [])
        if self._retriever is None:
            raise ValueError("mode 'rag' needs a retriever")
        return compose(question, self._retriever.retrieve(question), self._settings, self._engine.count_tokens)
