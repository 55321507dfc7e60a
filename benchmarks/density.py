"""What information density in the ranking score does to recall, on a finished run's own questions.

    python -m benchmarks.density [--config tiny]     after: lectern run --config tiny

Every question of `qa/` (all splits; nothing is trained here) is searched once and ranked with different weights. The
questions are made from the chunks' own sentences, which favours similarity: read the trend, not the level.
"""

from __future__ import annotations

import argparse
import json

from qa_core.artifacts import RunStore
from qa_core.config_loader import load_config
from qa_core.retrieval.embedding import Embedder
from qa_core.retrieval.index import PassageIndex
from qa_core.retrieval.ranking import rank

WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="tiny")
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_intermixed_args()
    config = load_config([arguments.config], arguments.overrides)
    run = RunStore.open(config.run.storage, config.run.name)
    rows = run.artifact("qa").read_table(["question", "chunk_ids"]).to_pylist()
    index, embedder = PassageIndex.open(run.artifact("index").local()), Embedder(config.index.embedder)
    found = [index.search(embedder.embed_query(row["question"]), config.retrieval.candidates) for row in rows]
    recall = {}
    for weight in WEIGHTS:
        settings = config.retrieval.model_copy(update={"density_weight": weight})
        ranked = [{passage.chunk_id for passage in rank(passages, settings)[: settings.top_k]} for passages in found]
        hits = sum(bool(ids & set(row["chunk_ids"])) for ids, row in zip(ranked, rows, strict=True))
        recall[weight] = round(hits / len(rows), 4)
        print(f"density_weight {weight:<5} recall@{settings.top_k} {recall[weight]:.3f}")
    print(json.dumps({"questions": len(rows), "recall": recall}))


if __name__ == "__main__":
    main()
