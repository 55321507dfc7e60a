"""The engine and the service, on a finished run such as that of `make demo`.

    python -m benchmarks.serving --config tiny [--quick] [--skip-engine] [section.key=value ...]

The engine is compared with `llama_cpp.Llama` behind a lock: same file, same prompts, same threads, alternating in one
process. Then the run is served, and asked through HTTP what its engine is asked directly; CPU time over the hops is
that of a generator which only counts to eight. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from typing import Any

from benchmarks.serving_engine import repeated_prefix, throughput
from benchmarks.serving_hops import cpu_per_request
from benchmarks.serving_overload import overload
from benchmarks.serving_path import added_to_first_token, running, vanishing_clients
from benchmarks.serving_soak import soak
from qa_core.artifacts import RunStore
from qa_core.config_loader import load_config
from qa_core.generation.model_file import model_file

SLOTS, QUEUE = 4, 4


def main() -> None:
    arguments = _parse()
    config = load_config(arguments.config, arguments.overrides)
    store = RunStore.open(config.run.storage, config.run.name)
    model = model_file(store.artifact("gguf").local())
    texts = store.artifact("index").read_table(["text"])["text"].to_pylist()
    prompts, questions = _sample(texts, words=45, count=64), [f"What about {p}?" for p in _sample(texts, 8, 400)]
    if arguments.soak:
        with running([*(f"--config={name}" for name in arguments.config), *arguments.overrides]):
            print(json.dumps(soak(config.serve.model_name, questions, arguments.soak)))
        return
    rounds, asked, leaving = (1, 40, 100) if arguments.quick else (5, 200, 1000)
    figures: dict[str, Any] = {}

    def note(name: str, value: dict[str, Any]) -> None:
        figures[name] = value
        print(name, json.dumps(value), flush=True)

    if not arguments.skip_engine:
        note("throughput", throughput(model, prompts, rounds, arguments.threads))
        note("repeated_prefix", repeated_prefix(model, _sample(texts, 220, 20), arguments.threads))
    note("hops", cpu_per_request(config, questions, asked))
    limits = [f"serve.generator.max_ongoing_requests={SLOTS}", f"serve.generator.max_queued_requests={QUEUE}"]
    with running([*(f"--config={name}" for name in arguments.config), *arguments.overrides, *limits]):
        note("path", added_to_first_token(config, model, questions[:asked]))
        note("overload", overload(config.serve.model_name, questions, SLOTS + QUEUE))
        note("vanishing", vanishing_clients(config.serve.model_name, questions, leaving))
    print(json.dumps(_headline(figures)))


def _sample(texts: Sequence[str], words: int, count: int) -> list[str]:
    """``count`` different runs of so many words of the papers."""
    flow, draw = " ".join(texts).split(), random.Random(0)
    return [" ".join(flow[start : start + words]) for start in draw.sample(range(len(flow) - words), count)]


def _headline(figures: dict[str, Any]) -> dict[str, Any]:
    path, hops, ratios = figures["path"], figures["hops"], figures.get("throughput", {})
    return {
        "ratio_c1": ratios.get("ratio_c1"),
        "ratio_c16": ratios.get("ratio_c16"),
        "ratio_c16_500m": None,
        "ratio_llama_server": None,
        "ttft_added_p50_ms": path["ttft_added_p50_ms"],
        "ttft_added_p99_ms": path["ttft_added_p99_ms"],
        "cpu_ms_per_request": hops["cpu_ms_per_request"],
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", "-c", action="append", default=[], help="of the run; may repeat")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="16 clients for so long, and nothing else")
    parser.add_argument("--quick", action="store_true", help="one round, a fifth of the requests")
    parser.add_argument("--skip-engine", action="store_true", help="only what the service adds to its engine")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    main()
