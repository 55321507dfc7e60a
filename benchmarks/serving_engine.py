"""Lectern's engine against `llama_cpp.Llama` behind a lock, which is what a simple service does."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.qwen_shape import QWEN_500M, make_qwen
from qa_core.config import GenerationCompute, GenerationSettings
from qa_core.generation.engine import Engine
from qa_core.generation.sampling import SamplingParams
from qa_core.quantization.convert import write_gguf
from qa_core.quantization.quantize import quantize

CLIENTS = (1, 4, 8, 16)
N_CTX, NEW_TOKENS, REQUESTS_A_CLIENT = 1024, 64, 4


def throughput(
    model: Path, prompts: Sequence[str], rounds: int, threads: int, client_counts: Sequence[int] = CLIENTS
) -> dict[str, Any]:
    """Tokens a second by number of clients, each asking one request after the other; medians over ``rounds``."""
    figures: dict[str, list[float]] = {}
    # Prompts repeat from round to round, and both would find them computed: the engine is not to gain by that.
    engine = Engine(model, _settings(max(client_counts), threads))
    simple = LockedLlama(model, threads)
    try:
        for _ in range(rounds):
            for clients in client_counts:
                asked = requests(prompts, clients)
                figures.setdefault(f"engine_{clients}", []).append(asyncio.run(_through_engine(engine, asked)))
                figures.setdefault(f"llama_{clients}", []).append(simple.tokens_per_second(asked))
    finally:
        engine.close()
    medians = {name: round(statistics.median(values), 1) for name, values in figures.items()}
    return {
        **medians,
        **{f"ratio_c{n}": round(medians[f"engine_{n}"] / medians[f"llama_{n}"], 2) for n in client_counts},
    }


def random_500m(folder: Path, threads: int) -> Path:
    """Random weights in the shape of Qwen2.5-0.5B as Q4_K_M, made in ``folder`` unless they are there."""
    model, f16, q4 = folder / "qwen-500m", folder / "qwen-500m-f16.gguf", folder / "qwen-500m-q4.gguf"
    if not q4.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_gguf(make_qwen(model, QWEN_500M), f16)
        quantize(f16, q4, "Q4_K_M", None, threads)
        shutil.rmtree(model)
        f16.unlink()
    return q4


def repeated_prefix(model: Path, prompts: Sequence[str], threads: int) -> dict[str, float]:
    """Milliseconds to the first token of long prompts, asked twice; medians, and the second by the first."""
    engine = Engine(model, _settings(2, threads), reuse_prefixes=True)
    first, second = [], []
    try:
        for prompt in prompts:
            for times in (first, second):
                started = time.perf_counter()
                engine.generate([prompt], SamplingParams(max_tokens=1))
                times.append(1000 * (time.perf_counter() - started))
    finally:
        engine.close()
    once, again = statistics.median(first), statistics.median(second)
    return {"first_ms": round(once, 2), "repeated_ms": round(again, 2), "ratio": round(again / once, 3)}


def _settings(slots: int, threads: int) -> GenerationSettings:
    compute = GenerationCompute(n_threads=threads)
    return GenerationSettings(n_ctx=N_CTX, max_tokens=NEW_TOKENS, n_seq_max=slots, compute=compute)


def requests(prompts: Sequence[str], clients: int, min_requests: int = 0) -> list[list[str]]:
    """Of each client, its own prompts; of all together at least ``min_requests``."""
    drawn = [prompts[place % len(prompts)] for place in range(max(min_requests, clients * REQUESTS_A_CLIENT))]
    return [drawn[client::clients] for client in range(clients)]


async def _through_engine(engine: Engine, asked: Sequence[Sequence[str]]) -> float:
    params = SamplingParams(max_tokens=NEW_TOKENS)

    async def client(prompts: Sequence[str]) -> int:
        tokens = 0
        for prompt in prompts:
            async for delta in engine.stream(prompt, params):
                last = delta
            tokens += last.completion_tokens
        return tokens

    started = time.perf_counter()
    tokens = sum(await asyncio.gather(*map(client, asked)))
    return tokens / (time.perf_counter() - started)


class LockedLlama:
    """llama-cpp-python's high-level class with one request at a time, as it allows no more."""

    def __init__(self, model: Path, threads: int) -> None:
        from llama_cpp import Llama

        self._llama = Llama(str(model), n_ctx=N_CTX, n_threads=threads, n_threads_batch=threads, verbose=False)
        self._lock = threading.Lock()

    def tokens_per_second(self, asked: Sequence[Sequence[str]]) -> float:
        started = time.perf_counter()
        with ThreadPoolExecutor(len(asked)) as pool:
            tokens = sum(pool.map(self._client, asked))
        return tokens / (time.perf_counter() - started)

    def _client(self, prompts: Sequence[str]) -> int:
        tokens = 0
        for prompt in prompts:
            with self._lock:
                self._llama.reset()
                done = self._llama.create_completion(prompt, max_tokens=NEW_TOKENS, temperature=0.0)
                tokens += done["usage"]["completion_tokens"]
        return tokens
