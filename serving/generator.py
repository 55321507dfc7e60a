"""The deployment that turns a conversation and its passages into an answer with citations."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qa_core.artifacts import Artifact
from qa_core.config import GenerationSettings, RetrievalSettings
from qa_core.errors import UserError
from qa_core.generation.answer import compose
from qa_core.generation.chat import build_messages, cited_numbers
from qa_core.schemas import Message, Passage
from serving.schemas import ChatCompletionRequest, Citation, FinishReason, invalid_request, prompt_too_long

if TYPE_CHECKING:
    from qa_core.generation.engine import SamplingParams


@dataclass(frozen=True)
class Piece:
    """A part of an answer, or all of it. The last piece of a stream carries the finish reason and the citations."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: FinishReason | None = None
    citations: tuple[Citation, ...] = ()


class Generator:
    """One replica: a quantised model that decodes many requests together."""

    def __init__(self, gguf: Artifact, settings: GenerationSettings, retrieval: RetrievalSettings) -> None:
        from qa_core.generation.engine import Engine
        from qa_core.generation.model_file import model_file

        self._settings = settings
        self._retrieval = retrieval
        self._engine = Engine(model_file(gguf.local()), settings)

    async def stream(self, request: ChatCompletionRequest, passages: Sequence[Passage]) -> AsyncIterator[Piece]:
        """The answer as it is decoded; raises :class:`ApiError` 400 when the messages alone fill the context."""
        params = self._sampling(request)
        prompt, kept = self._prompt(request, passages, params.max_tokens)
        answer = ""
        async for delta in self._engine.stream(prompt, params):
            answer += delta.text
            citations = cite(answer, kept) if delta.finish_reason else ()
            yield Piece(delta.text, delta.prompt_tokens, delta.completion_tokens, delta.finish_reason, citations)

    async def complete(self, request: ChatCompletionRequest, passages: Sequence[Passage]) -> Piece:
        """The whole answer in one piece, so that it crosses to the ingress once."""
        pieces = [piece async for piece in self.stream(request, passages)]
        last = pieces[-1]
        answer = "".join(piece.text for piece in pieces)
        return Piece(answer, last.prompt_tokens, last.completion_tokens, last.finish_reason, last.citations)

    async def decode_one(self) -> int:
        """Decode one token of a real prompt; returns how many were decoded. Proof that the model still works."""
        from qa_core.generation.engine import SamplingParams

        prompt = self._engine.chat_prompt(build_messages("Are you there?"))
        deltas = [delta async for delta in self._engine.stream(prompt, SamplingParams(max_tokens=1))]
        return deltas[-1].completion_tokens

    def _prompt(
        self, request: ChatCompletionRequest, passages: Sequence[Passage], answer_tokens: int
    ) -> tuple[str, list[Passage]]:
        engine = self._engine
        budget = Budget(self._retrieval, answer_tokens, self._settings.n_ctx)
        try:
            return fit_prompt(request, passages, engine.chat_prompt, engine.count_tokens, budget)
        except UserError as error:  # some templates refuse, say, two turns of the user in a row
            raise invalid_request(error.problem, param="messages") from error

    def _sampling(self, request: ChatCompletionRequest) -> SamplingParams:
        from qa_core.generation.engine import SamplingParams

        # Without a seed two equal requests may differ, as the API promises; a seed may be negative there, never here.
        seed = secrets.randbits(31) if request.seed is None else request.seed % 2**31
        return SamplingParams(
            max_tokens=request.token_limit or self._settings.max_tokens,
            temperature=self._settings.temperature if request.temperature is None else request.temperature,
            top_p=1.0 if request.top_p is None else request.top_p,
            seed=seed,
            stop=request.stop_strings,
        )


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


def cite(answer: str, passages: Sequence[Passage]) -> tuple[Citation, ...]:
    """The passages that ``answer`` marks as ``[n]``, in order of first mention."""
    return tuple(Citation.from_passage(n, passages[n - 1]) for n in cited_numbers(answer, len(passages)))
