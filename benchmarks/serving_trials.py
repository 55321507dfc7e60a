"""The trials of ``benchmarks.serving``, by the parts that can be asked for."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving_engine import NEW_TOKENS, random_500m, repeated_prefix, throughput
from benchmarks.serving_hops import cpu_per_request
from benchmarks.serving_llama_server import against_llama_server
from benchmarks.serving_overload import overload
from benchmarks.serving_path import added_to_first_token, running, vanishing_clients
from benchmarks.serving_soak import soak
from qa_core.config import LecternConfig

SLOTS, QUEUE = 4, 4
SLOTS_UNQUEUED = 2
LARGE_CLIENTS = (1, 16)
PROMPTS = 64
Named = Iterator[tuple[str, dict[str, Any]]]
"""Names and figures of trials, each given as soon as it is over."""


@dataclass(frozen=True)
class Trials:
    """Of one finished run, the parts that can be asked for."""

    config: LecternConfig
    serving: Sequence[str]
    """Arguments of ``python -m serving``."""
    model: Path
    texts: Sequence[str]
    """Of the papers."""
    threads: int
    quick: bool
    large: Path | None
    """Where to keep the random model."""

    def engine(self) -> Named:
        prompts = self._prompts(0)
        yield "throughput", throughput(self.model, prompts, self._rounds, self.threads)
        yield "repeated_prefix", repeated_prefix(self.model, _sample(self.texts, 220, 20), self.threads)
        if self.large:
            model = random_500m(self.large, self.threads)
            yield "throughput_500m", throughput(model, _short(prompts), 1, self.threads, LARGE_CLIENTS)

    def peer(self) -> Named:
        name, threads = self.config.serve.model_name, self.threads
        for replicas, trial in ((1, "llama_server"), (2, "llama_server_two_replicas")):
            if threads % replicas:
                continue
            figures = against_llama_server(
                self.serving, name, self.model, self._prompts, self._rounds, threads,
                min_requests=PROMPTS,  # one client's four answers would be over in a tenth of a second
                replicas=replicas,
            )  # fmt: skip
            yield trial, figures
        if self.large:
            model = random_500m(self.large, threads)
            # A random model goes in circles, and llama-server lets it.
            serving = [*self.serving, f"serve.base_file={model}", "generation.no_repeat_ngram_size=0"]
            prompts = lambda seed: _short(self._prompts(seed))  # noqa: E731
            yield "llama_server_500m", against_llama_server(serving, name, model, prompts, 1, threads, LARGE_CLIENTS)

    def hops(self) -> Named:
        yield "hops", cpu_per_request(self.config, self._questions, self._asked)

    def path(self) -> Named:
        name, questions = self.config.serve.model_name, self._questions
        with running(self._limited(SLOTS, QUEUE)):
            yield "path", added_to_first_token(self.config, self.model, questions[: self._asked])
            yield "overload", overload(name, questions, SLOTS + QUEUE)
            yield "vanishing", vanishing_clients(name, questions, 100 if self.quick else 1000)
        with running(self._limited(SLOTS_UNQUEUED, 0)):
            yield "overload_unqueued", overload(name, questions, SLOTS_UNQUEUED)

    def soak(self, minutes: float) -> dict[str, Any]:
        with running(self.serving):
            return soak(self.config.serve.model_name, self._questions, minutes)

    def _limited(self, slots: int, queue: int) -> list[str]:
        limits = {"max_ongoing_requests": slots, "max_queued_requests": queue}
        return [*self.serving, *(f"serve.generator.{name}={value}" for name, value in limits.items())]

    @property
    def _rounds(self) -> int:
        return 1 if self.quick else 5

    @property
    def _asked(self) -> int:
        return 40 if self.quick else 200

    @property
    def _questions(self) -> list[str]:
        return [f"What about {words}?" for words in _sample(self.texts, 8, 400)]

    def _prompts(self, seed: int) -> list[str]:
        return _sample(self.texts, words=45, count=PROMPTS, seed=seed)


def _short(prompts: Sequence[str]) -> list[str]:
    """For the random model, whose tokenizer has bytes: 64 tokens are asked for, and as many come."""
    return [prompt[:NEW_TOKENS] for prompt in prompts]


def _sample(texts: Sequence[str], words: int, count: int, seed: int = 0) -> list[str]:
    """``count`` different runs of so many words of the papers."""
    flow, draw = " ".join(texts).split(), random.Random(seed)
    return [" ".join(flow[start : start + words]) for start in draw.sample(range(len(flow) - words), count)]
