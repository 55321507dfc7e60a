"""Overload: how soon those are told for whom there is no room, and what the others notice of it."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.serving_path import PORT

HOST = "127.0.0.1"
STORMS, NEW_TOKENS, ALONE = 5, 32, 40


class Answer(NamedTuple):
    status: int
    milliseconds: float
    retry_after: bool


def overload(model: str, questions: Sequence[str], capacity: int) -> dict[str, float]:
    """Ten times as many clients at once as there is room for, several times over.

    Those that are answered are compared with one client alone, and with as many as there is room for: two cores decode
    a full batch more slowly than one answer, with or without the crowd outside.
    """
    requests = [_request(model, question) for question in questions]
    alone = [asyncio.run(_together(requests[n : n + 1]))[0] for n in range(ALONE)]
    full = _storms(requests, capacity)
    crowd = _storms(requests, 10 * capacity)
    accepted, refused = ([one for one in crowd if one.status == status] for status in (200, 503))
    waited = _p99(accepted)
    return {
        "clients": len(crowd),
        "answered": len(accepted),
        "refused": len(refused),
        "refused_with_retry_after": sum(one.retry_after for one in refused),
        "refused_p50_ms": round(statistics.median(one.milliseconds for one in refused), 1),
        "refused_p99_ms": round(_p99(refused), 1),
        "accepted_p99_to_unloaded": round(waited / _p99(alone), 2),
        "accepted_p99_to_full": round(waited / _p99([one for one in full if one.status == 200]), 2),
    }


def _storms(requests: Sequence[bytes], clients: int) -> list[Answer]:
    drawn = (requests[n % len(requests)] for n in range(STORMS * clients))
    return [one for _ in range(STORMS) for one in asyncio.run(_together([next(drawn) for _ in range(clients)]))]


async def _together(requests: Sequence[bytes]) -> list[Answer]:
    return await asyncio.gather(*map(_ask, requests))


async def _ask(request: bytes) -> Answer:
    """Over a connection of its own. Without an HTTP library: for 80 clients on the cores that also serve, building and
    parsing would take longer than a refusal may."""
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection(HOST, PORT)
    writer.write(request)
    response = await reader.read()
    milliseconds = 1000 * (time.perf_counter() - started)
    writer.close()
    head = response.partition(b"\r\n\r\n")[0].lower()
    return Answer(int(head.split()[1]), milliseconds, b"\r\nretry-after:" in head)


def _request(model: str, question: str) -> bytes:
    message = {"role": "user", "content": question}
    body = json.dumps({"model": model, "messages": [message], "max_tokens": NEW_TOKENS}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {HOST}:{PORT}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _p99(answers: Sequence[Answer]) -> float:
    return statistics.quantiles([one.milliseconds for one in answers], n=100, method="inclusive")[98]
