"""A conversation and its passages to a prompt that fits the context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qa_core.config import RetrievalSettings
from qa_core.generation.answer import compose
from qa_core.schemas import Message, Passage
from serving.schemas.chat import ChatCompletionRequest
from serving.schemas.errors import prompt_too_long


@dataclass(frozen=True)
class Budget:
    """What limits a prompt, in tokens."""

    retrieval: RetrievalSettings
    """Its ``context_tokens`` are for passages."""
    answer_tokens: int
    n_ctx: int
    """Prompt and answer together."""


def conversation(request: ChatCompletionRequest, messages: Sequence[Message]) -> list[Message]:
    """The composed ``messages`` (system, question) with the earlier turns of ``request`` between them.

    System messages of the client follow Lectern's own in the one system turn that templates allow.
    """
    system, question = messages
    turns = [message.to_message() for message in request.messages[:-1]]
    instructions = [system["content"], *(turn["content"] for turn in turns if turn["role"] == "system")]
    earlier = [turn for turn in turns if turn["role"] != "system"]
    return [Message(role="system", content="\n\n".join(instructions)), *earlier, question]


def fit_prompt(
    request: ChatCompletionRequest,
    passages: Sequence[Passage],
    render: Callable[[Sequence[Message]], str],
    count_tokens: Callable[[str], int],
    budget: Budget,
) -> tuple[str, list[Passage]]:
    """The prompt and the passages in it: the lowest-ranked ones are dropped until prompt and answer fit the context.

    The whole prompt is counted, not the sum of its parts, so the fit is exact. Raises :class:`ApiError` 400 when even
    the messages alone do not fit.
    """
    kept = list(passages)
    while True:
        prepared = compose(request.question, kept, budget.retrieval, count_tokens)
        prompt = render(conversation(request, prepared.messages))
        prompt_tokens = count_tokens(prompt)
        if prompt_tokens + budget.answer_tokens <= budget.n_ctx:
            return prompt, prepared.passages
        if not prepared.passages:
            raise prompt_too_long(prompt_tokens, budget.answer_tokens, budget.n_ctx)
        kept = prepared.passages[:-1]
