"""The engine and the service, on a finished run such as that of `make demo`.

    python -m benchmarks.serving --config tiny [--quick] [--large FOLDER] [--only PART ...] [section.key=value ...]

    engine  beside `llama_cpp.Llama` behind a lock: same file, same prompts, same threads, alternating in one process
    peer    the service beside llama.cpp's own server, where `llama-server` is on the PATH
    hops    CPU time over the hops to a generator which only counts to eight
    path    the run is served, and asked through HTTP what its engine is asked directly

With --large, engine and peer are also asked with random weights in the shape of Qwen2.5-0.5B, at 1 and at 16 clients.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving_engine import NEW_TOKENS, random_500m, repeated_prefix, throughput
from benchmarks.serving_hops import cpu_per_request
from benchmarks.serving_llama_server import against_llama_server
from benchmarks.serving_overload import overload
from benchmarks.serving_path import added_to_first_token, running, vanishing_clients
from benchmarks.serving_soak import soak
from qa_core.artifacts import RunStore
from qa_core.config import LecternConfig
from qa_core.config_loader import load_config
from qa_core.generation.model_file import model_file

SLOTS, QUEUE = 4, 4
SLOTS_UNQUEUED = 2
LARGE_CLIENTS = (1, 16)
Named = Iterator[tuple[str, dict[str, Any]]]
"""Names and figures of trials, each given as soon as it is over."""


@dataclass(frozen=True)
class Trials:
    """Of one finished run, the parts that can be asked for."""

    arguments: argparse.Namespace
    config: LecternConfig
    model: Path
    texts: Sequence[str]

    def engine(self) -> Named:
        threads, prompts = self.arguments.threads, self._prompts(0)
        yield "throughput", throughput(self.model, prompts, self._rounds, threads)
        yield "repeated_prefix", repeated_prefix(self.model, _sample(self.texts, 220, 20), threads)
        if large := self._large():
            yield "throughput_500m", throughput(large, _short(prompts), 1, threads, LARGE_CLIENTS)

    def peer(self) -> Named:
        name, threads = self.config.serve.model_name, self.arguments.threads
        yield (
            "llama_server",
            against_llama_server(self.serving, name, self.model, self._prompts, self._rounds, threads),
        )
        if large := self._large():
            serving = [*self.serving, f"serve.base_file={large}", "generation.no_repeat_ngram_size=0"]
            yield (
                "llama_server_500m",
                against_llama_server(
                    serving, name, large, lambda number: _short(self._prompts(number)), 1, threads, LARGE_CLIENTS
                ),
            )

    def hops(self) -> Named:
        yield "hops", cpu_per_request(self.config, self._questions, self._asked)

    def path(self) -> Named:
        name, questions = self.config.serve.model_name, self._questions
        with running(self._limited(SLOTS, QUEUE)):
            yield "path", added_to_first_token(self.config, self.model, questions[: self._asked])
            yield "overload", overload(name, questions, SLOTS + QUEUE)
            yield "vanishing", vanishing_clients(name, questions, 100 if self.arguments.quick else 1000)
        with running(self._limited(SLOTS_UNQUEUED, 0)):
            yield "overload_unqueued", overload(name, questions, SLOTS_UNQUEUED)

    def soak(self) -> dict[str, Any]:
        with running(self.serving):
            return soak(self.config.serve.model_name, self._questions, self.arguments.soak)

    def _limited(self, slots: int, queue: int) -> list[str]:
        limits = {"max_ongoing_requests": slots, "max_queued_requests": queue}
        return [*self.serving, *(f"serve.generator.{name}={value}" for name, value in limits.items())]

    @property
    def serving(self) -> list[str]:
        """Arguments of ``python -m serving``."""
        return [*(f"--config={name}" for name in self.arguments.config), *self.arguments.overrides]

    @property
    def _rounds(self) -> int:
        return 1 if self.arguments.quick else 5

    @property
    def _asked(self) -> int:
        return 40 if self.arguments.quick else 200

    @property
    def _questions(self) -> list[str]:
        return [f"What about {words}?" for words in _sample(self.texts, 8, 400)]

    def _prompts(self, number: int) -> list[str]:
        """Other ones for each round."""
        return _sample(self.texts, words=45, count=64, seed=number)

    def _large(self) -> Path | None:
        folder = self.arguments.large
        return random_500m(folder, self.arguments.threads) if folder else None


PARTS = ("engine", "peer", "hops", "path")


def main() -> None:
    arguments = _parse()
    config = load_config(arguments.config, arguments.overrides)
    store = RunStore.open(config.run.storage, config.run.name)
    texts = store.artifact("index").read_table(["text"])["text"].to_pylist()
    trials = Trials(arguments, config, model_file(store.artifact("gguf").local()), texts)
    if arguments.soak:
        print(json.dumps(trials.soak()))
        return
    figures: dict[str, Any] = {}
    for part in arguments.only:
        for name, value in getattr(trials, part)():
            figures[name] = value
            print(name, json.dumps(value), flush=True)
    print(json.dumps(_headline(figures)))


def _short(prompts: Sequence[str]) -> list[str]:
    """For the random model, whose tokenizer has bytes: 64 tokens are asked for, and as many come."""
    return [prompt[:NEW_TOKENS] for prompt in prompts]


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
