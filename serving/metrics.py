"""What one replica of the ingress has seen, for Prometheus."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.pieces import Load, Piece

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SECONDS_A_TOKEN = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class ServiceMetrics:
    """Names follow Prometheus: a unit at the end, ``_total`` for what only grows."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._first_token = Histogram(
            "lectern_time_to_first_token_seconds", "From the request to the first token of a streamed answer.",
            ["model"], registry=registry, buckets=_SECONDS,
        )  # fmt: skip
        self._each_token = Histogram(
            "lectern_time_per_token_seconds", "Between two tokens of a streamed answer.",
            ["model"], registry=registry, buckets=_SECONDS_A_TOKEN,
        )  # fmt: skip
        self._answer = Histogram(
            "lectern_answer_seconds", "From the request to the end of the answer.",
            ["model"], registry=registry, buckets=_SECONDS,
        )  # fmt: skip
        self._retrieval = Histogram(
            "lectern_retrieval_seconds", "Finding the passages of one question.", registry=registry, buckets=_SECONDS
        )
        self._tokens = Counter("lectern_tokens", "Tokens by kind.", ["model", "kind"], registry=registry)
        self._abstentions = Counter(
            "lectern_abstentions", "Answers that say that the papers do not tell.", ["reason"], registry=registry
        )
        self._citations = Counter("lectern_citations", "Marks in answers.", ["supported"], registry=registry)
        self._conflicts = Counter(
            "lectern_conflicts", "Sentences of two papers that disagree.", ["kind"], registry=registry
        )
        self._refusals = Counter("lectern_refusals", "Requests that were refused as overload.", registry=registry)
        self._running = Gauge(
            "lectern_requests_running", "Requests that hold a slot of a generator.", registry=registry
        )
        self._waiting = Gauge("lectern_requests_waiting", "Requests that wait for a slot.", registry=registry)
        self._slots = Gauge("lectern_slots", "Requests that a generator decodes together.", registry=registry)

    @contextmanager
    def retrieval(self) -> Iterator[None]:
        with self._retrieval.time():
            yield

    def refused(self) -> None:
        self._refusals.inc()

    async def timed(self, model: str, pieces: AsyncIterator[Piece], started: float) -> AsyncIterator[Piece]:
        """The same pieces of a stream; ``started`` is the request's time on ``time.perf_counter``."""
        before, tokens = started, 0
        async for piece in pieces:
            now = time.perf_counter()
            if tokens == 0:
                self._first_token.labels(model).observe(now - started)
            elif new := piece.completion_tokens - tokens:
                self._each_token.labels(model).observe((now - before) / new)
            before, tokens = now, max(1, piece.completion_tokens)
            if piece.finish_reason:
                self.answered(model, piece, started)
            yield piece

    def answered(self, model: str, piece: Piece, started: float) -> None:
        """``piece`` is the last of an answer, or all of it."""
        self._answer.labels(model).observe(time.perf_counter() - started)
        computed = piece.prompt_tokens - piece.cached_tokens
        for kind, count in (
            ("prompt", computed), ("cached_prompt", piece.cached_tokens), ("completion", piece.completion_tokens)
        ):  # fmt: skip
            self._tokens.labels(model, kind).inc(count)
        if piece.abstention:
            self._abstentions.labels(piece.abstention).inc()
        for citation in piece.citations:
            self._citations.labels(str(citation.supported).lower()).inc()
        for conflict in piece.conflicts:
            self._conflicts.labels(conflict.kind).inc()

    def render(self, load: Load) -> bytes:
        """In Prometheus's text format; ``load`` is that of one generator."""
        self._running.set(load.running)
        self._waiting.set(load.waiting)
        self._slots.set(load.slots)
        return generate_latest(self._registry)
