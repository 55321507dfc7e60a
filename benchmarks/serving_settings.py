"""Ray Serve's settings of the request path, against each other: CPU and time of a request whose generator only counts.

    python -m benchmarks.serving_settings --config tiny [--rounds 3] [--proxy NAME] [section.key=value ...]

One Ray session with an ingress and a generator for each row, asked in turn, through the proxy and directly; medians
over the rounds. What the proxy itself is set to holds for a whole session: `--proxy grpc`, `--proxy haproxy`. HAProxy
takes ports 8404 and 9101 of every interface meanwhile. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import Any

import httpx
import psutil
from ray import serve
from ray.serve.handle import DeploymentHandle

from benchmarks.serving_hops import CountingGenerator
from qa_core.config import ServeSettings
from qa_core.config_loader import load_config
from serving.__main__ import ray_cluster
from serving.app import deployment
from serving.ingress import Ingress
from serving.transport import replica_environment

PORT, FIRST_DIRECT_PORT, WARM_UP = 8324, 8330, 30
KEY = secrets.token_hex(24)
SEPARATE_LOOPS = dict.fromkeys(replica_environment(), "1")
ROWS = {
    "serve's defaults": (False, SEPARATE_LOOPS),
    "one loop": (False, replica_environment()),
    "grpc": (True, SEPARATE_LOOPS),
    "grpc, one loop": (True, replica_environment()),
}
"""Whether the ingress asks over gRPC, and the environment of both replicas."""
PROXIES: dict[str, dict[str, str]] = {
    "serve": {},
    "grpc": {"RAY_SERVE_PROXY_USE_GRPC": "1", "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0"},
    "haproxy": {"RAY_SERVE_ENABLE_HA_PROXY": "1"},
}
DIRECT = {
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "1",
    "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(FIRST_DIRECT_PORT),
    "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(FIRST_DIRECT_PORT + 4 * len(ROWS)),
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
}


class ByReference(Ingress):
    """Asks through Ray's object store, which is Serve's default."""

    def __init__(self, settings: ServeSettings, retriever: DeploymentHandle, generator: DeploymentHandle) -> None:
        super().__init__(settings, retriever, generator)
        self._generator = self._generator.options(_by_reference=True)


@dataclass
class Path:
    """One way to an answer, and the processes on it."""

    row: str
    url: str
    processes: list[psutil.Process]

    def measure(self, model: str, count: int, streamed: bool) -> tuple[float, float]:
        """Milliseconds of CPU of one request, and until its first byte (median)."""
        before, times = self._cpu_seconds(), []
        with httpx.Client(timeout=60, headers={"Authorization": f"Bearer {KEY}"}) as client:
            for number in range(count):
                message = {"role": "user", "content": f"What is question {number} about?"}
                body = {"model": model, "messages": [message], "stream": streamed}
                started = time.perf_counter()
                with client.stream("POST", f"{self.url}/v1/chat/completions", json=body) as response:
                    next(chunks := response.iter_bytes())
                    times.append(time.perf_counter() - started)
                    response.raise_for_status()
                    list(chunks)
        return 1000 * (self._cpu_seconds() - before) / count, 1000 * statistics.median(times)

    def _cpu_seconds(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self.processes)


def main() -> None:
    arguments = _parse()
    config = load_config(arguments.config, arguments.overrides)
    with NamedTemporaryFile("w") as keys, ray_cluster(None, {**DIRECT, **PROXIES[arguments.proxy]}):
        keys.write(KEY)  # a service behind HAProxy wants one
        keys.flush()
        paths = _deploy(config.serve.model_copy(update={"api_keys_file": keys.name}))
        found: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
        for round_ in range(arguments.rounds + 1):
            for path in paths:
                for kind, streamed in (("whole", False), ("stream", True)):
                    measured = path.measure(config.serve.model_name, arguments.count if round_ else WARM_UP, streamed)
                    if round_:
                        way = "proxy" if f":{PORT}/" in path.url else "direct"
                        found.setdefault((path.row, way, kind), []).append(measured)
        serve.shutdown()
    _print(arguments.proxy, found)


def _deploy(settings: ServeSettings) -> list[Path]:
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": PORT})
    paths = []
    for number, (row, (over_grpc, environment)) in enumerate(ROWS.items()):
        ingress = serve.ingress()(Ingress if over_grpc else ByReference)
        options = {"ray_actor_options": {"num_cpus": 0.01, "runtime_env": {"env_vars": environment}}}
        generator = deployment(CountingGenerator, settings.generator).options(**options).bind()
        front = deployment(ingress, settings.ingress).options(**options).bind(settings, generator, generator)
        serve.run(front, name=f"row{number}", route_prefix=f"/row{number}")
        processes = _processes(f":row{number}:")
        proxy = _processes("ProxyActor") or _processes("haproxy")
        paths.append(Path(row, f"http://127.0.0.1:{PORT}/row{number}", [*processes, *proxy]))
        paths.append(Path(row, f"http://127.0.0.1:{_port_of(f'row{number}')}/row{number}", processes))
    return paths


def _processes(mark: str) -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if mark in " ".join(one.cmdline())]


def _port_of(application: str) -> int:
    for port in range(FIRST_DIRECT_PORT, FIRST_DIRECT_PORT + 4 * len(ROWS)):
        try:
            routes = httpx.get(f"http://127.0.0.1:{port}/-/routes", timeout=5).json()
        except httpx.ConnectError:
            continue
        if application in routes.values():
            return port
    raise SystemExit(f"no port answers for {application}")


def _print(proxy: str, found: Mapping[tuple[str, str, str], list[tuple[float, float]]]) -> None:
    rows: list[dict[str, Any]] = []
    for (row, way, kind), measured in found.items():
        cpu, first = (round(statistics.median(values), 2) for values in zip(*measured, strict=True))
        rows.append({"settings": row, "way": way, "request": kind, "cpu_ms": cpu, "first_byte_ms": first})
        print(f"{row:18} {way:7} {kind:7} {cpu:6.2f} ms of CPU, first byte after {first:6.2f} ms")
    print(json.dumps({"proxy": proxy, "rows": rows}))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", "-c", action="append", default=[], help="may repeat")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=100, help="requests of each kind in a round")
    parser.add_argument("--proxy", choices=sorted(PROXIES), default="serve")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    main()
