"""Questions that a newcomer would ask of examples/papers, put to a finished run: right, cited, or an abstention?

    python -m benchmarks.newcomer --config tiny [SECTION.KEY=VALUE ...]

They were written from the papers alone, before any answer was seen, each with the paper that answers it and words of
which a right answer has at least one. An answer is right where it has one and cites a passage of that paper. The last
four are answered by no paper.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import PurePath

from qa_core.artifacts import RunStore
from qa_core.config_loader import load_config
from qa_core.generation.answer import Answer, Answerer
from qa_core.generation.chat import ABSTENTION
from qa_core.generation.engine import Engine
from qa_core.generation.model_file import model_file
from qa_core.generation.sampling import SamplingParams
from qa_core.retrieval.retriever import Retriever


@dataclass(frozen=True)
class Asked:
    question: str
    paper: str = ""
    """Its file without the ending; empty where none answers."""
    right: tuple[str, ...] = ()
    """A right answer has one of these, in any case."""


ASKED = (
    Asked("What is a quorum?", "raft-consensus", ("intersect",)),
    Asked("What is a block table?", "paged-kv-cache", ("maps the logical",)),
    Asked("What is a KV block?", "paged-kv-cache", ("fixed-size unit",)),
    Asked("What is BM25?", "retrieval-augmented-generation", ("ranking function",)),
    Asked("What is a cross-encoder?", "retrieval-augmented-generation", ("relevance score",)),
    Asked("What is an importance matrix?", "k-quants", ("table of weights",)),
    Asked("What is ZeRO?", "zero-sharding", ("data parallelism", "partitions")),
    Asked("What is a hedged request?", "tail-latency", ("second replica",)),
    Asked("What is a straggler?", "cluster-scheduling", ("slower than its peers",)),
    Asked("What is a placement group?", "cluster-scheduling", ("reserved as a unit",)),
    Asked("What is a sharded checkpoint?", "training-checkpoints", ("each worker writes",)),
    Asked("What is the power of two choices?", "load-balancing", ("samples two servers",)),
    Asked("What does BM25 score?", "retrieval-augmented-generation", ("query terms",)),
    Asked("What does LoRA train?", "lora-qlora", ("factored update", "low-rank", "pair")),
    Asked("What does ZeRO partition?", "zero-sharding", ("state",)),
    Asked("What does quantisation replace a weight by?", "k-quants", ("code",)),
    Asked("How does speculative decoding work?", "speculative-decoding", ("draft", "several tokens")),
    Asked("How does the ring all-reduce work?", "all-reduce", ("logical ring", "chunk")),
    Asked("What does speculative decoding do with idle arithmetic?", "speculative-decoding", ("speed", "fewer passes")),
    Asked("When does a candidate become leader?", "raft-consensus", ("majority",)),
    Asked("What does a follower do that hears nothing from a leader?", "raft-consensus", ("increments its term",)),
    Asked("What happens when a server joins the ring?", "consistent-hashing", ("arc of its successor",)),
    Asked("Why is decoding limited at batch size one?", "speculative-decoding", ("bandwidth",)),
    Asked("Why do hedged requests reduce tail latency?", "tail-latency", ("rarely slow",)),
    Asked("Why does round robin perform poorly?", "load-balancing", ("sizes vary", "stuck")),
    Asked("Why does synchronous training need gang scheduling?", "cluster-scheduling", ("waits for every",)),
    Asked("Why is the average latency not enough?", "tail-latency", ("hide", "handful")),
    Asked("When is an HNSW index not needed?", "hnsw-search", ("flat scan", "small")),
    Asked("What is a Bloom filter?"),
    Asked("Who invented the transistor?"),
    Asked("How does photosynthesis work?"),
    Asked("What is the capital of France?"),
)  # fmt: skip


def main() -> None:
    arguments = _parse()
    config = load_config(arguments.config, arguments.overrides)
    store = RunStore.open(config.run.storage, config.run.name)
    retriever = Retriever(store.artifact("index").local(), config.index.embedder, config.retrieval)
    engine = Engine(model_file(store.artifact("gguf").local()), config.generation)
    try:
        params = SamplingParams.of(config.generation, config.run.seed)
        answerer = Answerer(engine, params, config.retrieval, retriever)
        answers = answerer.answer_all([asked.question for asked in ASKED], "rag")
    finally:
        engine.close()
    marks = [_mark(asked, answer) for asked, answer in zip(ASKED, answers, strict=True)]
    for asked, answer, mark in zip(ASKED, answers, marks, strict=True):
        print(f"{mark:9}  {asked.question}\n           {answer.text}")
    told = [mark for asked, mark in zip(ASKED, marks, strict=True) if asked.paper]
    untold = [mark for asked, mark in zip(ASKED, marks, strict=True) if not asked.paper]
    figures = {name: told.count(name) for name in ("right", "wrong", "abstained")}
    print(
        json.dumps({"asked": len(told), **figures, "unanswerable": len(untold), "told_so": untold.count("abstained")})
    )


def _mark(asked: Asked, answer: Answer) -> str:
    if answer.text.strip() == ABSTENTION:
        return "abstained"
    cited = {PurePath(answer.passages[number - 1].source).stem for number in answer.cited}
    has_words = any(words in answer.text.lower() for words in asked.right)
    return "right" if has_words and asked.paper in cited else "wrong"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", "-c", action="append", default=[], help="shipped name or YAML file")
    parser.add_argument("overrides", nargs="*", metavar="SECTION.KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
