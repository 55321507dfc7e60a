"""Answers from a GGUF model: many requests at once, from plain code or from asyncio.

One thread owns the context and steps the scheduler; llama.cpp releases the interpreter lock while it computes.
Everybody else only puts requests into an inbox.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from qa_core.config import GenerationSettings
from qa_core.errors import UserError
from qa_core.generation.chat_model import ChatModel
from qa_core.generation.completion import Collector, Completion, PromptTooLong
from qa_core.generation.grammar import JsonGrammar
from qa_core.generation.llama import LlamaModel
from qa_core.generation.llama_context import LlamaContext
from qa_core.generation.lora_adapter import LoraAdapter
from qa_core.generation.request import Delta, Request
from qa_core.generation.sampling import SamplingParams
from qa_core.generation.scheduler import Scheduler
from qa_core.schemas import Message

__all__ = ["Completion", "Delta", "Engine", "PromptTooLong", "SamplingParams"]


class Engine:
    """A model ready to answer, ``settings.n_seq_max`` requests at a time; more wait their turn in order."""

    def __init__(
        self,
        model: Path | ChatModel,
        settings: GenerationSettings,
        reuse_prefixes: bool = False,
        adapter: Path | None = None,
    ) -> None:
        """Raises :class:`UserError` for a file that is missing, damaged, without a chat template or of another model.

        Args:
            model: a GGUF file, or one that is open already and outlives this engine.
            reuse_prefixes: see :class:`~qa_core.generation.scheduler.Scheduler`; for a service, not for an evaluation.
            adapter: a GGUF LoRA that lies over the model in this engine alone.
        """
        self.settings = settings
        compute = settings.compute
        self._chat = model if isinstance(model, ChatModel) else ChatModel(model, compute.n_gpu_layers)
        self._owns_model = self._chat is not model
        self._model = self._chat.llama
        # Before the context, which makes room for the adapters that its model has by then.
        self._adapter = LoraAdapter(adapter, self._model) if adapter else None
        n_batch = max(compute.n_batch, settings.n_seq_max)
        try:
            self._context = LlamaContext(
                self._model, settings.n_ctx, settings.n_seq_max, n_batch, compute.n_threads, self._adapter
            )
        except BaseException:
            self._close_model()
            raise
        self._scheduler = Scheduler(self._context, reuse_prefixes)
        self._inbox: list[Request] = []
        self._wake = threading.Condition()
        self._closed = False
        self._in_use = threading.Lock()
        """Held by whoever reads the model in a thread of its own, so that its memory is not freed meanwhile."""
        self._last_step = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="lectern-engine", daemon=True)
        self._thread.start()

    def chat_prompt(self, messages: Sequence[Message]) -> str:
        """See :meth:`ChatModel.prompt`."""
        return self._chat.prompt(messages)

    def count_tokens(self, text: str) -> int:
        with self._open_model() as model:
            return len(model.tokenize(text))

    @property
    def num_running(self) -> int:
        """Requests that hold a slot now."""
        return self._scheduler.num_running

    @property
    def num_waiting(self) -> int:
        """Requests that wait for a slot."""
        return self._scheduler.num_waiting + len(self._inbox)

    @property
    def seconds_without_progress(self) -> float:
        """Since the last step; 0 while there is nothing to do."""
        return time.monotonic() - self._last_step if self.num_running + self.num_waiting else 0.0

    @property
    def num_queued_tokens(self) -> int:
        """Prompt tokens that are still to be computed."""
        return self._scheduler.num_queued_tokens + sum(len(request.tokens) for request in list(self._inbox))

    def generate(self, prompts: Sequence[str], params: SamplingParams) -> list[Completion]:
        """One completion for each prompt, in order; blocks. On an idle engine the same call gives the same answers."""
        collectors = [Collector() for _ in prompts]
        requests = [
            self._request(prompt, params, collector.on_delta, collector.done.set_exception)
            for prompt, collector in zip(prompts, collectors, strict=True)
        ]
        self._submit(requests)
        try:
            return [collector.done.result() for collector in collectors]
        except BaseException:
            self._cancel(requests)
            raise

    async def complete(self, prompt: str, params: SamplingParams) -> Completion:
        """The whole answer. It wakes the event loop once, where a stream wakes it with every token.

        Cancelling the task frees the slot.
        """
        collector = Collector()
        request = self._request(prompt, params, collector.on_delta, collector.done.set_exception)
        self._submit([request])
        try:
            # Shielded: a future that was cancelled could not take the result that may be on its way.
            return await asyncio.shield(asyncio.wrap_future(collector.done))
        finally:
            self._cancel([request])

    async def stream(self, prompt: str, params: SamplingParams) -> AsyncIterator[Delta]:
        """The answer as it is made; a reader who falls behind gets all that is ready as one delta.

        Leaving the iteration early, or cancelling the task, frees the slot.
        """
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Delta | Exception] = asyncio.Queue()

        def put(event: Delta | Exception) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(events.put_nowait, event)

        request = self._request(prompt, params, put, put)
        self._submit([request])
        try:
            while True:
                ready = [await events.get()]
                while not events.empty():
                    ready.append(events.get_nowait())
                if deltas := [event for event in ready if isinstance(event, Delta)]:
                    yield deltas[-1]._replace(text="".join(delta.text for delta in deltas))
                if isinstance(ready[-1], Exception):  # nothing follows it
                    raise ready[-1]
                if ready[-1].finish_reason:
                    return
        finally:
            self._cancel([request])

    def close(self) -> None:
        """End the thread and free the memory; requests that still run fail."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()
        with self._in_use:
            self._context.close()
            self._close_model()

    @contextmanager
    def _open_model(self) -> Iterator[LlamaModel]:
        """The model, which stays in memory for the length of the block; raises where it is gone."""
        with self._in_use:
            if self._closed:
                raise RuntimeError("the engine is closed")
            yield self._model

    def _close_model(self) -> None:
        if self._adapter:
            self._adapter.close()
        if self._owns_model:
            self._chat.close()

    def _request(
        self,
        prompt: str,
        params: SamplingParams,
        on_delta: Callable[[Delta], None],
        on_error: Callable[[Exception], None],
    ) -> Request:
        with self._open_model() as model:
            if unknown := [token for token in params.logit_bias if not 0 <= token < model.n_vocab]:
                raise UserError(f"logit_bias names token {unknown[0]}; the vocabulary has {model.n_vocab}")
            grammar = JsonGrammar(model, params.json_schema) if params.json_schema else None
            tokens = self._checked(model.tokenize(prompt), params)
        return Request(tokens, params, on_delta, on_error, grammar)

    def _checked(self, tokens: list[int], params: SamplingParams) -> list[int]:
        """``tokens`` of a prompt, which must leave room for the answer."""
        limit = self.settings.n_ctx - params.max_tokens
        if len(tokens) > limit:
            raise PromptTooLong(len(tokens), limit)
        if not tokens:
            raise UserError("the prompt is empty")
        return tokens

    def _submit(self, requests: Sequence[Request]) -> None:
        with self._wake:
            if self._closed:
                raise RuntimeError("the engine is closed")
            if not self.num_running + self.num_waiting:
                self._last_step = time.monotonic()  # an hour without requests was no hour without progress
            self._inbox.extend(requests)
            self._wake.notify()

    def _cancel(self, requests: Iterable[Request]) -> None:
        with self._wake:
            for request in requests:
                request.cancelled = True
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._inbox or self._scheduler.busy or self._closed)
                self._scheduler.add(self._inbox)
                self._inbox.clear()
                closed = self._closed
            if closed:
                self._scheduler.fail(RuntimeError("the engine was closed"))
                return
            self._last_step = time.monotonic()
            try:
                self._scheduler.step()
            except Exception as error:  # told to every waiting request; the thread must outlive one bad batch
                self._scheduler.fail(error)
