"""The engine and the service, on a finished run such as that of `make demo`.

    python -m benchmarks.serving --config tiny [--quick] [--large FOLDER] [--only PART ...] [section.key=value ...]

    engine  beside `llama_cpp.Llama` behind a lock: same file, same prompts, same threads, alternating in one process;
            with --large also with random weights in the shape of Qwen2.5-0.5B
    peer    the service beside llama.cpp's own server, where `llama-server` is on the PATH
    hops    CPU time over the hops to a generator which only counts to eight
    path    the run is served, and asked through HTTP what its engine is asked directly

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.serving_engine import repeated_prefix, throughput, throughput_500m
from benchmarks.serving_hops import cpu_per_request
from benchmarks.serving_llama_server import against_llama_server
from benchmarks.serving_overload import overload
from benchmarks.serving_path import added_to_first_token, running, vanishing_clients
from benchmarks.serving_soak import soak
from qa_core.artifacts import RunStore
from qa_core.config_loader import load_config
from qa_core.generation.model_file import model_file

SLOTS, QUEUE = 4, 4
PARTS = ("engine", "peer", "hops", "path")


def main() -> None:
    arguments = _parse()
    config = load_config(arguments.config, arguments.overrides)
    store = RunStore.open(config.run.storage, config.run.name)
    model = model_file(store.artifact("gguf").local())
    texts = store.artifact("index").read_table(["text"])["text"].to_pylist()
    prompts, questions = _sample(texts, words=45, count=64), [f"What about {p}?" for p in _sample(texts, 8, 400)]
    serving = [*(f"--config={name}" for name in arguments.config), *arguments.overrides]
    if arguments.soak:
        with running(serving):
            print(json.dumps(soak(config.serve.model_name, questions, arguments.soak)))
        return
    rounds, asked, leaving = (1, 40, 100) if arguments.quick else (5, 200, 1000)
    figures: dict[str, Any] = {}

    def note(name: str, value: dict[str, Any]) -> None:
        figures[name] = value
        print(name, json.dumps(value), flush=True)

    if "engine" in arguments.only:
        note("throughput", throughput(model, prompts, rounds, arguments.threads))
        note("repeated_prefix", repeated_prefix(model, _sample(texts, 220, 20), arguments.threads))
    if arguments.large:
        arguments.large.mkdir(parents=True, exist_ok=True)
        note("throughput_500m", throughput_500m(arguments.large, prompts, 1, arguments.threads))
    if "peer" in arguments.only:
        name, fresh = config.serve.model_name, lambda number: _sample(texts, words=45, count=64, seed=1 + number)
        note("llama_server", against_llama_server(serving, name, model, fresh, rounds, arguments.threads))
    if "hops" in arguments.only:
        note("hops", cpu_per_request(config, questions, asked))
    if "path" in arguments.only:
        limits = [f"serve.generator.max_ongoing_requests={SLOTS}", f"serve.generator.max_queued_requests={QUEUE}"]
        with running([*serving, *limits]):
            note("path", added_to_first_token(config, model, questions[:asked]))
            note("overload", overload(config.serve.model_name, questions, SLOTS + QUEUE))
            note("vanishing", vanishing_clients(config.serve.model_name, questions, leaving))
    print(json.dumps(_headline(figures)))


def _sample(texts: Sequence[str], words: int, count: int, seed: int = 0) -> list[str]:
    """``count`` different runs of so many words of the papers."""
    flow, draw = " ".join(texts).split(), random.Random(seed)
    return [" ".join(flow[start : start + words]) for start in draw.sample(range(len(flow) - words), count)]


def _headline(figures: dict[str, Any]) -> dict[str, Any]:
    sources = {
        "ratio_c1": ("throughput", "ratio_c1"),
        "ratio_c16": ("throughput", "ratio_c16"),
        "ratio_c16_500m": ("throughput_500m", "ratio_c16"),
        "ratio_llama_server": ("llama_server", "ratio_c16"),
        "ttft_added_p50_ms": ("path", "ttft_added_p50_ms"),
        "ttft_added_p99_ms": ("path", "ttft_added_p99_ms"),
        "cpu_ms_per_request": ("hops", "cpu_ms_per_request"),
    }
    return {headline: figures.get(part, {}).get(name) for headline, (part, name) in sources.items()}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", "-c", action="append", default=[], help="of the run; may repeat")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="16 clients for so long, and nothing else")
    parser.add_argument("--quick", action="store_true", help="one round, a fifth of the requests")
    parser.add_argument("--large", type=Path, metavar="FOLDER", help="also a 0.5B model, made there (2 GB, kept)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts alone")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    main()
