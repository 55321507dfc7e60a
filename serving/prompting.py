"""A conversation and its passages to a prompt that fits the context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qa_core.config import RetrievalSettings
from qa_core.generation.answer import compose
from qa_core.generation.chat import build_messages
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

    The whole prompt is counted, not the sum of its parts, so the fit is exact. Where even the best passage is too long
    beside the messages, it is cut after a word. Raises :class:`ApiError` 400 when the messages alone do not fit, and
    when they leave no room for any of a passage: an answer without a source must not pass for one with sources.
    """
    kept, settings = list(passages), budget.retrieval
    while True:
        prepared = compose(request.question, kept, settings, count_tokens)
        if passages and not prepared.passages:
            lengths = [_length(request, shown, render, count_tokens) for shown in ([], kept[:1])]
            too_long = next(length for length in lengths if length + budget.answer_tokens > budget.n_ctx)
            raise prompt_too_long(too_long, budget.answer_tokens, budget.n_ctx)
        prompt = render(conversation(request, prepared.messages))
        over = count_tokens(prompt) + budget.answer_tokens - budget.n_ctx
        if over <= 0:
            return prompt, prepared.passages
        if not passages:
            raise prompt_too_long(count_tokens(prompt), budget.answer_tokens, budget.n_ctx)
        if len(prepared.passages) > 1:
            kept = prepared.passages[:-1]
        else:
            room = min(settings.context_tokens, prepared.passages[0].num_tokens) - over
            kept, settings = kept[:1], settings.model_copy(update={"context_tokens": room})


def _length(
    request: ChatCompletionRequest,
    passages: Sequence[Passage],
    render: Callable[[Sequence[Message]], str],
    count_tokens: Callable[[str], int],
) -> int:
    """Tokens of the whole prompt with these passages."""
    return count_tokens(render(conversation(request, build_messages(request.question, passages))))
