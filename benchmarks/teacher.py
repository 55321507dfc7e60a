"""The endpoint teacher against a stub endpoint: are its slots busy, and what do kills and failures cost?

    python -m benchmarks.teacher [slots | kills | failures ...] [--requests 3000] [--rounds 3]

Without a name all three run; the last line is JSON.

* ``slots``: ``ask_endpoint`` on Ray and a plain asyncio client with a semaphore and the same SDK send the same requests
  to the same endpoint, in turns; medians over the rounds. Occupancy is the mean number of busy slots, as the endpoint
  sees it, over all slots: from the first request to the last reply, and up to the last request's arrival, which leaves
  out the time in which too few requests are left to fill the slots. ``overhead_s`` is what a call of ``ask_endpoint``
  takes beyond the plain client, start of its worker included; ``ratio_to_asyncio`` compares the times from first
  request to last reply.
* ``kills``: ``lectern generate-qa`` on the bundled papers, killed with SIGKILL at five random points and resumed each
  time; its rows are compared with those of a run that nobody killed.
* ``failures``: the same, unkilled, with 30% of the calls failing in seven ways; each failure that the endpoint made has
  to be found in the reply log.

The endpoint and the client share this machine's cores: service times of 2 s (median; log-normal, sigma 0.5) make 64
slots ask for about 28 requests a second, of which the client's work is a fraction of one core, so waiting is the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from typing import Any

import pyarrow as pa

from benchmarks.stub_process import Stub
from qa_core.config.teachers import EndpointTeacher
from qa_core.dataset.prompts import build_request
from qa_core.dataset.requests import Request, Source
from qa_core.schemas import REQUESTS

SLOTS = 64
MODEL = "stub-chat"


def main() -> None:
    from benchmarks.teacher_kills import measure_failures, measure_kills

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="slots | kills | failures")
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--median", type=float, default=2.0, help="seconds of service, half of the requests take less")
    parser.add_argument("--seed", type=int, default=17)
    arguments = parser.parse_args()
    parts = arguments.parts or ["slots", "kills", "failures"]
    figures: dict[str, Any] = {}
    if "slots" in parts:
        figures |= measure_slots(arguments.requests, arguments.rounds, arguments.median, arguments.seed)
    if "kills" in parts:
        figures |= measure_kills(arguments.seed)
    if "failures" in parts:
        figures |= measure_failures(arguments.seed)
    print(json.dumps(figures))


def measure_slots(count: int, rounds: int, median: float, seed: int) -> dict[str, Any]:
    """Ray and the plain client in turns, so that a busy neighbour strikes both."""
    from jobs.ray_session import ray_session

    requests = [request(number) for number in range(count)]
    seen: dict[str, list[dict[str, float]]] = {"ray": [], "asyncio": []}
    with Stub("--seed", str(seed), "--slots", str(SLOTS), "--median", str(median)) as stub, ray_session():
        teacher = EndpointTeacher(engine="openai", model=MODEL, compute={"base_url": f"{stub.url}/v1"})
        for number in range(rounds):
            for name, ask in (("ray", ask_with_ray), ("asyncio", ask_with_asyncio)):
                stub.reset()
                started = time.monotonic()
                ask(requests, teacher)
                one = {"wall_s": time.monotonic() - started, **busy(stub.stats(), count)}
                seen[name].append(one)
                print(f"{name:8} round {number}: " + ", ".join(f"{key} {value:.3f}" for key, value in one.items()))
    ray, plain = ({key: statistics.median(one[key] for one in seen[name]) for key in seen[name][0]} for name in seen)
    return {
        "requests": count,
        "occupancy": round(ray["occupancy"], 4),
        "occupancy_before_drain": round(ray["occupancy_before_drain"], 4),
        "occupancy_asyncio": round(plain["occupancy"], 4),
        "overhead_s": round(ray["wall_s"] - plain["wall_s"], 2),
        "ratio_to_asyncio": round(ray["asking_s"] / plain["asking_s"], 4),
    }


def request(number: int) -> Request:
    """A request of the size that a passage of 400 tokens makes."""
    text = f"A store of version {number} keeps {number} replicas of each key. " * 24
    source = Source(f"c{number}", f"d{number}", f"Stores {number}", "prose", "Replicas", 0, text)
    return build_request("factual", [source], teacher={"model": MODEL}, num_questions=3)


def ask_with_ray(requests: list[Request], teacher: EndpointTeacher) -> None:
    import ray
    from rich.console import Console

    from jobs.progress import Progress
    from jobs.teaching.endpoint import ask_endpoint
    from qa_core.dataset.reply_log import ReplyLog

    dataset = ray.data.from_arrow(pa.Table.from_pylist([one.to_row() for one in requests], schema=REQUESTS))
    with tempfile.TemporaryDirectory() as folder, Progress(Console(quiet=True), "").track("requests") as counter:
        log = ReplyLog(folder)
        ask_endpoint(dataset, teacher, log, counter)
        assert len(log.answered_ids()) == len(requests)


def ask_with_asyncio(requests: list[Request], teacher: EndpointTeacher) -> None:
    """What one would write without a framework."""
    import openai

    async def run() -> None:
        slots = asyncio.Semaphore(SLOTS)
        async with openai.AsyncOpenAI(base_url=teacher.compute.base_url, api_key="none") as client:

            async def one(request: Request) -> str:
                schema = {"name": "reply", "strict": True, "schema": json.loads(request.response_schema)}
                async with slots:
                    completion = await client.chat.completions.create(
                        model=teacher.model,
                        messages=list(request.messages),
                        temperature=teacher.temperature,
                        max_tokens=teacher.max_tokens,
                        response_format={"type": "json_schema", "json_schema": schema},
                    )
                return completion.choices[0].message.content or ""

            replies = await asyncio.gather(*(one(request) for request in requests))
        assert all(replies)

    asyncio.run(run())


def busy(stats: dict[str, Any], expected: int) -> dict[str, float]:
    """Occupancy from the calls as the endpoint saw them."""
    calls = stats["calls"]
    assert len(calls) == expected, f"{len(calls)} calls for {expected} requests"
    assert stats["max_concurrency"] <= SLOTS
    first, last = min(call["arrived"] for call in calls), max(call["left"] for call in calls)
    begun = max(call["arrived"] for call in calls)
    whole = sum(call["left"] - call["arrived"] for call in calls)
    full = sum(min(call["left"], begun) - call["arrived"] for call in calls)
    return {
        "asking_s": last - first,
        "occupancy": whole / (last - first) / SLOTS,
        "occupancy_before_drain": full / (begun - first) / SLOTS,
    }


if __name__ == "__main__":
    main()
