"""The deployment that turns a conversation and its passages into an answer with citations."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ray import serve

from qa_core.artifacts import Artifact
from qa_core.config import GenerationSettings, RetrievalSettings
from qa_core.errors import UserError
from qa_core.generation.chat import build_messages
from qa_core.schemas import Passage
from serving.citing import abstention, cite, conflicts, trace
from serving.engines import Engines
from serving.pieces import Load, Piece
from serving.prompting import Budget, fit_prompt
from serving.scaling import WORK
from serving.schemas.chat import ChatCompletionRequest
from serving.schemas.completions import CompletionRequest
from serving.schemas.errors import invalid_request, prompt_too_long
from serving.schemas.sampling import SamplingRequest

if TYPE_CHECKING:
    from qa_core.generation.engine import Completion, Delta, Engine, SamplingParams


UNLIMITED = -1
"""An adapter stays once it was asked for: one that Ray Serve unloads while it answers would break the answer off."""
STUCK_AFTER_S = 120.0
"""Without a step, although requests wait: a batch of 512 tokens of a large model takes seconds, not minutes."""


class Generator:
    """One replica: a quantised model that decodes many requests together, alone and under each adapter."""

    def __init__(
        self,
        model: Artifact | str,
        adapters: Mapping[str, str],
        settings: GenerationSettings,
        retrieval: RetrievalSettings,
    ) -> None:
        """
        Args:
            model: a run's ``gguf/``, or the path of a GGUF file.
            adapters: paths of GGUF LoRA files over it, by the names under which they are asked.
        """
        from qa_core.generation.model_file import model_file

        self._settings = settings
        self._retrieval = retrieval
        path = Path(model) if isinstance(model, str) else model_file(model.local())
        self._engines = Engines(path, adapters, settings)

    async def stream(self, request: ChatCompletionRequest, passages: Sequence[Passage]) -> AsyncIterator[Piece]:
        """The answer as it is decoded; raises :class:`ApiError` 400 when the messages alone fill the context."""
        params, engine = self._sampling(request), await self._engine()
        prompt, kept = self._prompt(engine, request, passages, params.max_tokens)
        answer = ""
        async for piece in self._decode(engine, prompt, params):
            answer += piece.text
            yield _with_sources(piece, answer, request, passages, kept) if piece.finish_reason else piece

    async def answer(self, request: ChatCompletionRequest, passages: Sequence[Passage]) -> Piece:
        """The whole answer in one piece, so that it crosses to the ingress once."""
        params, engine = self._sampling(request), await self._engine()
        prompt, kept = self._prompt(engine, request, passages, params.max_tokens)
        piece = await self._decode_whole(engine, prompt, params)
        return _with_sources(piece, piece.text, request, passages, kept)

    async def stream_completion(self, request: CompletionRequest) -> AsyncIterator[Piece]:
        """What follows a prompt, without a chat template."""
        async for piece in self._decode(await self._engine(), request.prompt, self._sampling(request)):
            yield piece

    async def complete(self, request: CompletionRequest) -> Piece:
        return await self._decode_whole(await self._engine(), request.prompt, self._sampling(request))

    async def decode_one(self) -> int:
        """Decode one token of a real prompt; returns how many were decoded. Proof that the model still works."""
        from qa_core.generation.engine import SamplingParams

        engine = self._engines.base
        prompt = engine.chat_prompt(build_messages("Are you there?"))
        deltas = [delta async for delta in engine.stream(prompt, SamplingParams(max_tokens=1))]
        return deltas[-1].completion_tokens

    async def check_health(self) -> None:
        """Ray Serve asks now and then, and replaces a replica that raises. Costs no slot, so a full one is healthy."""
        if (seconds := self._engines.seconds_without_progress) > STUCK_AFTER_S:
            raise RuntimeError(f"the engine has made no step for {seconds:.0f} s, although requests wait")

    async def load(self) -> Load:
        return Load(self._engines.slots, self._engines.num_running, self._engines.num_waiting)

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Ray Serve asks for this; :func:`serving.scaling.by_work` reads it."""
        engines = self._engines
        batches = engines.num_queued_tokens / self._settings.compute.n_batch
        return {WORK: engines.num_running + engines.num_waiting + batches}

    async def _engine(self) -> Engine:
        """The one that the request being served is for."""
        adapter = serve.get_multiplexed_model_id()
        return await self._adapted(adapter) if adapter else self._engines.base

    @serve.multiplexed(max_num_models_per_replica=UNLIMITED)
    async def _adapted(self, adapter: str) -> Engine:
        return await self._engines.open(adapter)

    async def _decode(self, engine: Engine, prompt: str, params: SamplingParams) -> AsyncIterator[Piece]:
        with self._refusals_told(params):
            async for delta in engine.stream(prompt, params):
                yield _piece(delta)

    async def _decode_whole(self, engine: Engine, prompt: str, params: SamplingParams) -> Piece:
        with self._refusals_told(params):
            return _piece(await engine.complete(prompt, params))

    @contextmanager
    def _refusals_told(self, params: SamplingParams) -> Iterator[None]:
        """What the engine refuses as :class:`ApiError` 400."""
        from qa_core.generation.engine import PromptTooLong

        try:
            yield
        except PromptTooLong as error:
            raise prompt_too_long(error.prompt_tokens, params.max_tokens, self._settings.n_ctx) from error
        except UserError as error:  # a schema or a token that the model does not have
            raise invalid_request(error.problem) from error

    def _prompt(
        self, engine: Engine, request: ChatCompletionRequest, passages: Sequence[Passage], answer_tokens: int
    ) -> tuple[str, list[Passage]]:
        budget = Budget(self._retrieval, answer_tokens, self._settings.n_ctx)
        try:
            return fit_prompt(request, passages, engine.chat_prompt, engine.count_tokens, budget)
        except UserError as error:  # some templates refuse, say, two turns of the user in a row
            raise invalid_request(error.problem, param="messages") from error

    def _sampling(self, request: SamplingRequest) -> SamplingParams:
        from qa_core.generation.engine import SamplingParams

        # Without a seed two equal requests may differ, as the API promises; a seed may be negative there, never here.
        seed = secrets.randbits(31) if request.seed is None else request.seed % 2**31
        settings = self._settings
        ngram = settings.no_repeat_ngram_size if request.no_repeat_ngram_size is None else request.no_repeat_ngram_size
        return SamplingParams(
            max_tokens=request.token_limit or settings.max_tokens,
            temperature=settings.temperature if request.temperature is None else request.temperature,
            top_p=1.0 if request.top_p is None else request.top_p,
            top_k=request.top_k or 0,
            min_p=request.min_p or 0.0,
            frequency_penalty=request.frequency_penalty or 0.0,
            presence_penalty=request.presence_penalty or 0.0,
            no_repeat_ngram_size=ngram,
            logit_bias=request.biases,
            seed=seed,
            stop=request.stop_strings,
            json_schema=request.answer_schema,
        )


def _piece(decoded: Delta | Completion) -> Piece:
    counts = decoded.prompt_tokens, decoded.completion_tokens, decoded.cached_tokens
    return Piece(decoded.text, *counts, decoded.finish_reason)


def _with_sources(
    last: Piece, answer: str, request: ChatCompletionRequest, retrieved: Sequence[Passage], kept: Sequence[Passage]
) -> Piece:
    """The last piece of ``answer``, which drew on the passages ``kept`` of those ``retrieved``."""
    return replace(
        last,
        citations=cite(answer, kept),
        conflicts=conflicts(answer, kept),
        abstention=abstention(answer, kept),
        trace=trace(retrieved, kept) if request.retrieval and request.retrieval.trace else (),
    )
