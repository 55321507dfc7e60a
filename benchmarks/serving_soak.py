"""Hours, if one likes, of clients that ask one question after the other: does anything fail, does the memory grow."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx
import psutil

from benchmarks.serving_path import CHAT

CLIENTS = 16
WARM_UP = 0.2
"""Share of the time after which memory is looked at first: caches and pools have filled by then."""
LOOKS = 20
OURS = ("ray::ServeReplica", "ray::ProxyActor", "ray::ServeController")


def soak(model: str, questions: Sequence[str], minutes: float) -> dict[str, Any]:
    """Statuses of the answers to 16 clients, and resident memory of Serve's processes over the time."""
    statuses: Counter[str] = Counter()
    rss: list[tuple[float, float]] = []
    asyncio.run(_ask_for(model, questions, 60 * minutes, statuses, rss))
    settled = [megabytes for seconds, megabytes in rss if seconds >= WARM_UP * 60 * minutes]
    failures = sum(count for status, count in statuses.items() if not status.startswith(("2", "4")))
    return {
        "minutes": minutes,
        "statuses": dict(statuses),
        "failures": failures,
        "rss_mb": [megabytes for _, megabytes in rss],
        "rss_growth_percent": round(100 * (settled[-1] / settled[0] - 1), 2),
    }


async def _ask_for(
    model: str, questions: Sequence[str], seconds: float, statuses: Counter[str], rss: list[tuple[float, float]]
) -> None:
    started = time.monotonic()

    async def client(number: int, session: httpx.AsyncClient) -> None:
        for question in itertools.islice(itertools.cycle(questions), number, None, CLIENTS):
            if time.monotonic() - started > seconds:
                return
            name = model if number % 2 else f"{model}-rag"
            message = {"role": "user", "content": question}
            body = {"model": name, "messages": [message], "max_tokens": 32, "stream": number % 4 < 2}
            try:
                response = await session.post(CHAT, json=body)
                broken = response.status_code == 200 and body["stream"] and not response.text.endswith("[DONE]\n\n")
                statuses["broken stream" if broken else str(response.status_code)] += 1
            except httpx.HTTPError as error:
                statuses[type(error).__name__] += 1

    async def watch() -> None:
        for look in range(LOOKS + 1):
            await asyncio.sleep(max(0.0, started + look * seconds / LOOKS - time.monotonic()))
            rss.append((time.monotonic() - started, _resident_megabytes()))

    async with httpx.AsyncClient(timeout=120) as session:
        await asyncio.gather(watch(), *(client(number, session) for number in range(CLIENTS)))


def _resident_megabytes() -> float:
    """Of the proxy, the controller and every replica."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            if any(name in " ".join(process.cmdline()) for name in OURS):
                total += process.memory_info().rss
        except psutil.Error:  # it ended meanwhile
            continue
    return round(total / 1e6, 1)
