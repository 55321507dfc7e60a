"""The engine and the service, on a finished run such as that of `make demo`.

    python -m benchmarks.serving --config tiny [--quick] [--large FOLDER] [--only PART ...] [section.key=value ...]

    engine  beside `llama_cpp.Llama` behind a lock: same file, same prompts, same threads, alternating in one process
    peer    the service beside llama.cpp's own server, where `llama-server` is on the PATH: one generator, and two with
            half the slots and threads each
    hops    CPU time over the hops to a generator which only counts to eight
    path    the run is served, and asked through HTTP what its engine is asked directly

With --large, engine and peer are also asked with random weights in the shape of Qwen2.5-0.5B, at 1 and at 16 clients.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.serving_trials import Trials
from qa_core.artifacts import RunStore
from qa_core.config_loader import load_config
from qa_core.generation.model_file import model_file

PARTS = ("engine", "peer", "hops", "path")


def main() -> None:
    arguments = _parse()
    config = load_config(arguments.config, arguments.overrides)
    store = RunStore.open(config.run.storage, config.run.name)
    texts = store.artifact("index").read_table(["text"])["text"].to_pylist()
    serving = [*(f"--config={name}" for name in arguments.config), *arguments.overrides]
    model = model_file(store.artifact("gguf").local())
    trials = Trials(config, serving, model, texts, arguments.threads, arguments.quick, arguments.large)
    if arguments.soak:
        print(json.dumps(trials.soak(arguments.soak)))
        return
    figures: dict[str, Any] = {}
    for part in arguments.only:
        for name, value in getattr(trials, part)():
            figures[name] = value
            print(name, json.dumps(value), flush=True)
    print(json.dumps(_headline(figures)))


def _headline(figures: dict[str, Any]) -> dict[str, Any]:
    sources = {
        "ratio_c1": ("throughput", "ratio_c1"),
        "ratio_c16": ("throughput", "ratio_c16"),
        "ratio_c16_500m": ("throughput_500m", "ratio_c16"),
        "ratio_llama_server": ("llama_server", "ratio_c16"),
        "ratio_llama_server_two_replicas": ("llama_server_two_replicas", "ratio_c16"),
        "ratio_llama_server_500m": ("llama_server_500m", "ratio_c16"),
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
