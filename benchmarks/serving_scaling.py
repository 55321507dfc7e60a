"""Generators under load and idle again: how many there are over time, and whether a request fails meanwhile.

    python -m benchmarks.serving_scaling --config tiny [section.key=value ...]

Serves a finished run with at most two generators of two requests each, asks with eight clients for a while and then not
at all. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Sequence
from typing import Any

import httpx
from ray import serve

from qa_core.config_loader import load_config
from serving.__main__ import APPLICATION, ray_cluster
from serving.app import build

PORT = 8323
CLIENTS = 8
SETTINGS = (
    "serve.generator.num_cpus=0.3", "serve.generator.max_ongoing_requests=32",
    "serve.generator.autoscaling_config.max_replicas=2", "serve.generator.autoscaling_config.target_ongoing_requests=2",
    "serve.generator.autoscaling_config.upscale_delay_s=2", "serve.generator.autoscaling_config.downscale_delay_s=5",
)  # fmt: skip


def main() -> None:
    arguments = _parse()
    config = load_config(arguments.config, [*SETTINGS, *arguments.overrides])
    application = build(config.model_dump(mode="json"))
    with ray_cluster(None):
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": PORT})
        serve.run(application, name=APPLICATION, route_prefix="/")
        seen: list[tuple[float, int]] = []
        started = time.monotonic()
        with _Load(config.serve.model_name) as load:
            up = _watch(seen, started, arguments.limit, wanted=2)
        idle_from = time.monotonic() - started
        down = _watch(seen, started, idle_from + arguments.limit, wanted=1)
        serve.shutdown()
    figures = {"replicas": _changes(seen), "two_after_s": up, "idle_from_s": round(idle_from, 1), "one_after_s": down}
    print(json.dumps({**figures, "answers": load.answers, "failures": load.failures}))


def _watch(seen: list[tuple[float, int]], started: float, until: float, wanted: int) -> float | None:
    """Note the number of generators four times a second until it is ``wanted``, and ten seconds more."""
    reached: float | None = None
    while (now := time.monotonic() - started) < (until if reached is None else reached + 10):
        states = serve.status().applications[APPLICATION].deployments["Generator"].replica_states
        seen.append((round(now, 1), states.get("RUNNING", 0)))
        if reached is None and seen[-1][1] == wanted:
            reached = now
        time.sleep(0.25)
    return None if reached is None else round(reached, 1)


def _changes(seen: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """Seconds since the start, and how many generators there were from then on."""
    return [pair for place, pair in enumerate(seen) if place == 0 or pair[1] != seen[place - 1][1]]


class _Load:
    """Clients that ask one question after the other for the length of a ``with`` block."""

    def __init__(self, model: str) -> None:
        self._model, self._stop = model, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]
        self.answers, self.failures = 0, 0

    def __enter__(self) -> _Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        with httpx.Client(timeout=120) as client:
            while not self._stop.is_set():
                message = {"role": "user", "content": f"What is question {number} about?"}
                body = {"model": self._model, "messages": [message], "max_tokens": 150}
                status = client.post(f"http://127.0.0.1:{PORT}/v1/chat/completions", json=body).status_code
                self.answers += status == 200
                self.failures += status != 200


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", "-c", action="append", default=[], help="of the run; may repeat")
    parser.add_argument("--limit", type=float, default=90.0, help="seconds to wait for two, and again for one")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    main()
