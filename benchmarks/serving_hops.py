"""CPU time of one request over all of Ray Serve's processes, where the generator costs nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence

import httpx
import psutil
from ray import serve

from qa_core.config import LecternConfig
from qa_core.schemas import Passage
from serving.__main__ import http_options, ray_cluster
from serving.app import deployment
from serving.ingress import Ingress
from serving.pieces import Load, Piece
from serving.schemas.chat import ChatCompletionRequest
from serving.transport import Transport

PORT, TOKENS, WARM_UP = 8322, 8, 50


class CountingGenerator:
    """Has the generator's methods and no model."""

    async def answer(self, request: ChatCompletionRequest, passages: Sequence[Passage]) -> Piece:
        return Piece("1 2 3 4 5 6 7 8", 1, TOKENS, finish_reason="stop")

    async def stream(self, request: ChatCompletionRequest, passages: Sequence[Passage]) -> AsyncIterator[Piece]:
        for number in range(1, TOKENS + 1):
            yield Piece(f"{number} ", 1, number, finish_reason="stop" if number == TOKENS else None)

    async def load(self) -> Load:
        return Load(slots=1, running=0, waiting=0)


def cpu_per_request(config: LecternConfig, questions: Sequence[str], count: int) -> dict[str, float]:
    """Milliseconds of CPU of all of Serve's processes for one request, whole and streamed; and of wall time."""
    settings = config.serve.model_copy(update={"port": PORT})
    transport = Transport.on_this_machine(settings)
    with ray_cluster(None, transport.environment):
        serve.start(proxy_location="HeadOnly", http_options=http_options(settings, transport))
        generator = deployment(CountingGenerator, settings.generator).bind()
        # The model without retrieval is asked, so nothing stands in for the retriever.
        application = deployment(serve.ingress()(Ingress), settings.ingress).bind(settings, generator, generator)
        serve.run(application, name="hops", route_prefix="/")
        figures = {}
        for name, streamed in (("cpu_ms_per_request", False), ("cpu_ms_per_stream", True)):
            _ask(settings.model_name, questions, WARM_UP, streamed)
            before, started = _cpu_seconds(), time.perf_counter()
            _ask(settings.model_name, questions, count, streamed)
            figures[name] = round(1000 * (_cpu_seconds() - before) / count, 2)
            figures[name.replace("cpu", "wall")] = round(1000 * (time.perf_counter() - started) / count, 2)
        serve.shutdown()
    return figures


def _ask(model: str, questions: Sequence[str], count: int, streamed: bool) -> None:
    with httpx.Client(timeout=60) as client:
        for number in range(count):
            message = {"role": "user", "content": questions[number % len(questions)]}
            body = {"model": model, "messages": [message], "stream": streamed}
            response = client.post(f"http://127.0.0.1:{PORT}/v1/chat/completions", json=body)
            response.raise_for_status()


def _cpu_seconds() -> float:
    """Of the proxy and of every replica; Ray's own daemons are not counted."""
    total, found = 0.0, 0
    for process in psutil.Process().children(recursive=True):
        try:
            if "ray::ServeReplica" in " ".join(process.cmdline()) or "ray::ProxyActor" in " ".join(process.cmdline()):
                times = process.cpu_times()
                total += times.user + times.system
                found += 1
        except psutil.Error:  # it ended meanwhile
            continue
    if found < 3:
        raise SystemExit(f"only {found} of the processes of Ray Serve were found")
    return total
