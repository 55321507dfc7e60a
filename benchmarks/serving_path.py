"""What the service adds to its engine until the first token, and what is left of clients that leave."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from qa_core.config import LecternConfig
from qa_core.generation.chat import build_messages
from qa_core.generation.engine import Engine
from qa_core.generation.sampling import SamplingParams

PORT = 8321
URL = f"http://127.0.0.1:{PORT}"
CHAT = f"{URL}/v1/chat/completions"
TOGETHER = 4  # as many as there are slots, so that none is refused
SETTLE_S = 0.05  # llama.cpp's threads spin for a while after an answer, and must not do so during the next one


@contextmanager
def running(arguments: Sequence[str]) -> Iterator[None]:
    """``python -m serving`` until the block ends."""
    command = [sys.executable, "-m", "serving", *arguments, f"serve.port={PORT}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        else:
            raise SystemExit(f"the service did not start:\n{''.join(lines)}")
        yield
    finally:
        process.terminate()
        process.wait()


def added_to_first_token(config: LecternConfig, model: Path, questions: Sequence[str]) -> dict[str, float]:
    """Milliseconds that HTTP, Ray Serve and the replicas add; the same questions alternate between the two."""
    engine = Engine(model, config.generation, reuse_prefixes=True)
    bare, served = [], []
    with httpx.Client(timeout=60) as client:
        for number, question in enumerate(questions):
            bare.append(_first_token_of(engine, question))
            served.append(_first_token_over(client, config.serve.model_name, question))
            if number == len(questions) // 10:  # warmed up
                bare.clear()
                served.clear()
    engine.close()
    figures = {}
    for percent in (50, 99):
        here, there = _percentile(bare, percent), _percentile(served, percent)
        figures |= {f"bare_p{percent}_ms": here, f"served_p{percent}_ms": there}
        figures[f"ttft_added_p{percent}_ms"] = round(there - here, 2)
    return figures


def _first_token_of(engine: Engine, question: str) -> float:
    async def first() -> float:
        time.sleep(SETTLE_S)
        started = time.perf_counter()
        prompt = engine.chat_prompt(build_messages(question))
        async for _ in engine.stream(prompt, SamplingParams(max_tokens=4)):
            return time.perf_counter() - started
        raise AssertionError("no token came")

    return 1000 * asyncio.run(first())


def _first_token_over(client: httpx.Client, model: str, question: str) -> float:
    time.sleep(SETTLE_S)
    started = time.perf_counter()
    with client.stream("POST", CHAT, json=_body(model, question, max_tokens=4)) as response:
        response.raise_for_status()
        events = response.iter_bytes()
        next(events)
        milliseconds = 1000 * (time.perf_counter() - started)
        list(events)  # to the end, so that the next question finds the engine idle
    return milliseconds


def vanishing_clients(model: str, questions: Sequence[str], count: int) -> dict[str, float]:
    """Clients that leave after the first event: seconds until no slot is held any more."""

    async def leave(client: httpx.AsyncClient, question: str) -> None:
        async with client.stream("POST", CHAT, json=_body(model, question, max_tokens=150)) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if line:
                    return

    async def all_leave() -> None:
        async with httpx.AsyncClient(timeout=120) as client:
            for start in range(0, count, TOGETHER):
                asked = (questions[n % len(questions)] for n in range(start, min(start + TOGETHER, count)))
                await asyncio.gather(*(leave(client, question) for question in asked))

    asyncio.run(all_leave())
    started = time.perf_counter()
    while (held := _metric("lectern_requests_running")) and time.perf_counter() - started < 60:
        time.sleep(0.02)
    return {"vanished": count, "slots_held": held, "all_free_after_s": round(time.perf_counter() - started, 3)}


def _metric(name: str) -> float:
    lines = httpx.get(f"{URL}/metrics").raise_for_status().text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


def _body(model: str, question: str, max_tokens: int) -> dict[str, Any]:
    message = {"role": "user", "content": question}
    return {"model": model, "messages": [message], "stream": True, "max_tokens": max_tokens}


def _percentile(values: Sequence[float], percent: int) -> float:
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 2)
