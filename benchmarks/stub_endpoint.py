"""An OpenAI-compatible endpoint without a model: seeded service times, a fixed number of slots, failures to order.

    python -m benchmarks.stub_endpoint [--port 8000] [--seed 17] [--slots 64] [--median 1.5] [--failures 0.3]

Service times are log-normal. They and the failures depend on the seed, the request and how often it was sent before, so
two clients meet the same endpoint. ``GET /stats`` tells what was asked and when; ``POST /reset`` forgets it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from benchmarks.stub_replies import reply_to

TRANSPORT_FAILURES = ("rate_limited", "server_error", "timeout", "cut_stream")
"""Nothing that could be a reply arrives."""
CONTENT_FAILURES = ("invalid_json", "empty", "wrong_schema")
"""A reply arrives and is of no use."""
_CONTENT = {"invalid_json": 'Here you are: {"pairs": [{"question": "What', "empty": "", "wrong_schema": '{"rows": []}'}


@dataclass
class Call:
    """One request as the endpoint saw it; times are seconds of the monotonic clock."""

    key: str
    arrived: float
    left: float = 0.0
    failure: str = ""


class StubEndpoint:
    """The handlers, and what they have seen.

    Args:
        failures: share of calls that fail.
        hang_s: how long a call of the kind ``timeout`` is left waiting.
    """

    def __init__(self, seed: int, slots: int, median_s: float, sigma: float, failures: float, hang_s: float) -> None:
        self._seed, self._median, self._sigma = seed, median_s, sigma
        self._failures, self._hang = failures, hang_s
        self._slots = asyncio.Semaphore(slots)
        self._forget()

    def _forget(self) -> None:
        self._calls: list[Call] = []
        self._tries: Counter[str] = Counter()
        self._busy = self._most_busy = 0

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_post("/v1/chat/completions", self.complete)
        application.router.add_get("/stats", self.stats)
        application.router.add_post("/reset", self.reset)
        return application

    async def stats(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "calls": [asdict(call) for call in self._calls],
                "max_concurrency": self._most_busy,
                "failures": Counter(call.failure for call in self._calls if call.failure),
            }
        )

    async def reset(self, request: web.Request) -> web.Response:
        self._forget()
        return web.json_response({})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        key = hashlib.sha256(body).hexdigest()[:16]
        chance = random.Random(f"{self._seed} {key} {self._tries[key]}")
        self._tries[key] += 1
        service = self._median * chance.lognormvariate(0.0, self._sigma)
        fails = chance.random() < self._failures
        kind = chance.choice((*TRANSPORT_FAILURES, *CONTENT_FAILURES)) if fails else ""
        call = Call(key, time.monotonic(), failure=kind)
        self._calls.append(call)
        self._busy += 1
        self._most_busy = max(self._most_busy, self._busy)
        try:
            async with self._slots:
                return await self._answer(request, json.loads(body), kind, service, chance)
        finally:
            self._busy -= 1
            call.left = time.monotonic()

    async def _answer(
        self, request: web.Request, body: dict[str, Any], kind: str, service: float, chance: random.Random
    ) -> web.StreamResponse:
        if kind == "rate_limited":
            headers = {"Retry-After": "1"} if chance.random() < 0.5 else {}
            return web.json_response({"error": {"message": "Slow down"}}, status=429, headers=headers)
        await asyncio.sleep(self._hang if kind == "timeout" else service)
        if kind == "server_error":
            return web.json_response({"error": {"message": "Internal error"}}, status=500)
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
        content = _CONTENT[kind] if kind in _CONTENT else reply_to(body["messages"], schema)
        completion = _completion(body, content)
        if kind == "cut_stream":
            return await _cut(request, completion)
        return web.json_response(completion)


def _completion(body: dict[str, Any], content: str) -> dict[str, Any]:
    sent = sum(len(message["content"]) for message in body["messages"]) // 4
    got = len(content) // 4
    message = {"role": "assistant", "content": content, "refusal": None}
    return {
        "id": "stub",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": sent, "completion_tokens": got, "total_tokens": sent + got},
    }


async def _cut(request: web.Request, completion: dict[str, Any]) -> web.StreamResponse:
    """Half of the body that the header promises, and the connection is gone."""
    body = json.dumps(completion).encode()
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def serve(stub: StubEndpoint, port: int) -> None:
    """Serve until cancelled; prints the address once it answers."""
    # A client that gives up frees its slot, as with a real server that notices.
    runner = web.AppRunner(stub.application(), handler_cancellation=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    host, chosen = runner.addresses[0][:2]
    print(f"http://{host}:{chosen}", flush=True)
    await asyncio.Event().wait()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000, help="0 for any free one")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--median", type=float, default=1.5, help="seconds of service")
    parser.add_argument("--sigma", type=float, default=0.5)
    parser.add_argument("--failures", type=float, default=0.0)
    parser.add_argument("--hang", type=float, default=30.0, help="seconds that a call of the kind timeout waits")
    arguments = parser.parse_args()
    stub = StubEndpoint(
        arguments.seed, arguments.slots, arguments.median, arguments.sigma, arguments.failures, arguments.hang
    )
    await serve(stub, arguments.port)


if __name__ == "__main__":
    asyncio.run(main())
