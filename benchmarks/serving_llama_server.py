"""The service beside llama.cpp's own server: same file, slots, threads and requests, both over HTTP, taking turns."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx

from benchmarks.serving_engine import CLIENTS, N_CTX, NEW_TOKENS, requests
from benchmarks.serving_path import URL, running

SLOTS = max(CLIENTS)
THEIR_PORT = 8322
THEIR_URL = f"http://127.0.0.1:{THEIR_PORT}"
_LOADED_WITHIN_S = 120


def against_llama_server(
    arguments: Sequence[str],
    name: str,
    model: Path,
    prompts: Callable[[int], Sequence[str]],
    rounds: int,
    threads: int,
    client_counts: Sequence[int] = CLIENTS,
    min_requests: int = 0,
    replicas: int = 1,
) -> dict[str, Any]:
    """Tokens a second by number of clients, medians over ``rounds``; empty where llama-server is not on the PATH.

    Args:
        arguments: of the service, which serves ``model`` under ``name``.
        prompts: drawn anew for each seed: both keep what they have computed, llama-server in memory beside its
            slots, too, and a prompt that was asked before would measure that.
        min_requests: of all clients together.
        replicas: of the generator, among which its slots and its threads are divided; they must come out even.
    """
    program = shutil.which("llama-server")
    if program is None:
        print("llama-server is not on the PATH", flush=True)
        return {}
    figures: dict[str, list[float]] = {}
    servers = [("service", URL), ("llama_server", THEIR_URL)]
    with running([*arguments, *_layout(replicas, threads)]), _llama_server(program, model, threads):
        for seed, clients in enumerate([SLOTS, *(rounds * list(client_counts))]):
            asked = requests(prompts(seed), clients, min_requests)
            servers.reverse()  # neither always goes first
            for server, url in servers:
                speed = asyncio.run(_tokens_per_second(url, name, asked))
                if seed:  # the first turn warms both up
                    figures.setdefault(f"{server}_{clients}", []).append(speed)
    medians = {key: round(statistics.median(values), 1) for key, values in figures.items()}
    ratios = {f"ratio_c{n}": round(medians[f"service_{n}"] / medians[f"llama_server_{n}"], 2) for n in client_counts}
    return {**medians, **ratios}


def _layout(replicas: int, threads: int) -> list[str]:
    slots, scaling = SLOTS // replicas, "serve.generator.autoscaling_config"
    return [
        f"generation.n_seq_max={slots}", f"generation.n_ctx={N_CTX}",
        f"generation.compute.n_threads={threads // replicas}", f"serve.generator.max_ongoing_requests={slots}",
        f"serve.generator.num_cpus={1 / replicas}", f"{scaling}.min_replicas={replicas}",
        f"{scaling}.max_replicas={replicas}",
    ]  # fmt: skip


async def _tokens_per_second(url: str, name: str, asked: Sequence[Sequence[str]]) -> float:
    # Not httpx, which on the cores that also serve took a quarter of one.
    async def client(http: aiohttp.ClientSession, prompts: Sequence[str]) -> int:
        tokens = 0
        for prompt in prompts:
            body = {"model": name, "prompt": prompt, "max_tokens": NEW_TOKENS, "temperature": 0.0}
            async with http.post("/v1/completions", json=body) as response:
                tokens += int((await response.json())["usage"]["completion_tokens"])
        return tokens

    async with aiohttp.ClientSession(url, raise_for_status=True, timeout=aiohttp.ClientTimeout(300)) as http:
        started = time.perf_counter()
        tokens = sum(await asyncio.gather(*(client(http, prompts) for prompts in asked)))
        return tokens / (time.perf_counter() - started)


@contextmanager
def _llama_server(program: str, model: Path, threads: int) -> Iterator[None]:
    command = [
        program, "--model", str(model), "--parallel", str(SLOTS), "--ctx-size", str(SLOTS * N_CTX),
        "--threads", str(threads), "--threads-batch", str(threads), "--host", "127.0.0.1", "--port", str(THEIR_PORT),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _LOADED_WITHIN_S
        while not _is_up():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"llama-server did not start: {' '.join(command)}")
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait()


def _is_up() -> bool:
    try:
        return httpx.get(f"{THEIR_URL}/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
