"""What the trials of a joint sweep retrieve from: the run's papers in chunks of every size that is searched over.

Each of them is made once a sweep, by the stages ``chunk`` and ``index`` themselves, and kept in its scratch folder. One
that the run has already is taken from there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from jobs.pipeline import carry_out
from jobs.plan import papers_fingerprint, plan_stage
from jobs.ray_session import on_cluster
from jobs.rows.work import paper_splits
from jobs.stages import PAPERS, STAGES, StageContext
from qa_core.artifacts import Artifact, RunStore
from qa_core.config import ChunkSettings, LecternConfig, SentenceTransformersEmbedder
from qa_core.config_loader import apply
from qa_core.manifest import digest

QUESTION_VECTORS = pa.schema([("qa_id", pa.string()), ("vector", pa.list_(pa.float32()))])


@dataclass(frozen=True)
class Corpus:
    """Chunks of the run's papers, and what it takes to lay the run's rows on them. Pickles."""

    index: Artifact
    own_index: Artifact
    """Of the chunks that the rows were made from."""
    questions: str
    """Address of the questions' vectors."""
    splits: Mapping[str, str]
    """Of every paper, by ``doc_id``."""


def make_corpora(context: StageContext) -> dict[str, Corpus]:
    """A corpus for each chunking that the search space can draw, by :func:`chunking_key`; none unless it is joint."""
    config, own = context.config, context.inputs
    if not config.tune.is_joint:
        return {}
    questions = f"{context.scratch}/questions.parquet"
    on_cluster(embed_questions, own["qa"], config.index.embedder, questions, num_cpus=1.0)
    splits = paper_splits(config, own["documents"], own["index"].read_table(["doc_id"]).column("doc_id").to_pylist())
    papers = papers_fingerprint(config.chunk.papers) if config.tune.sweeps_chunks else ""
    return {
        chunking_key(other.chunk): Corpus(
            _index(context, other, papers) if config.tune.sweeps_chunks else own["index"],
            own["index"],
            questions,
            splits,
        )
        for other in chunkings(config)
    }


def chunkings(config: LecternConfig) -> Iterator[LecternConfig]:
    """``config`` with every combination of the chunk settings in its search space."""
    space = {key: dimension.values for key, dimension in config.tune.search_space.items() if key.startswith("chunk.")}
    for values in itertools.product(*space.values()):
        yield apply(config, dict(zip(space, values, strict=True)))


def chunking_key(settings: ChunkSettings) -> str:
    """Equal for equal chunks."""
    return digest(settings.model_dump(mode="json", exclude={"compute"}))[:12]


def _index(context: StageContext, config: LecternConfig, papers: str) -> Artifact:
    """The index of the papers as ``config`` cuts them."""
    base = context.inputs["base"]
    manifest, own = base.manifest(), context.inputs["index"].manifest()
    assert manifest is not None
    assert own is not None
    store = RunStore.open(context.scratch, f"chunks-{chunking_key(config.chunk)}")
    known, plan = {PAPERS: papers, "base": manifest.fingerprint}, []
    for stage in (STAGES["chunk"], STAGES["index"]):
        plan.append(plan_stage(config, store, stage, {name: known[name] for name in stage.reads(config)}))
        known |= dict.fromkeys(stage.outputs, plan[-1].fingerprint)
    if known["index"] == own.fingerprint:
        return context.inputs["index"]
    for planned in plan:
        if planned.action != "skip":
            inputs = {"base": base, "chunks": store.artifact("chunks")}
            outputs = {name: store.artifact(name) for name in planned.stage.outputs}
            scratch = store.scratch(planned.stage.name, planned.fingerprint)
            carry_out(planned, StageContext(config, inputs, outputs, scratch, context.progress))
    return store.artifact("index")


def embed_questions(qa: Artifact, embedder: SentenceTransformersEmbedder, address: str) -> None:
    """Write ``QUESTION_VECTORS``, unless the sweep has them; another ``qa/`` has another scratch folder."""
    from qa_core.retrieval.embedding import Embedder

    filesystem, path = pafs.FileSystem.from_uri(address)
    if filesystem.get_file_info(path).type == pafs.FileType.File:
        return
    model, rows = Embedder(embedder), qa.read_table(["qa_id", "question"]).to_pylist()
    vectors = [{"qa_id": row["qa_id"], "vector": model.embed_query(row["question"])} for row in rows]
    filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    pq.write_table(pa.Table.from_pylist(vectors, QUESTION_VECTORS), f"{path}.new", filesystem=filesystem)
    filesystem.move(f"{path}.new", path)


def read_questions(address: str) -> dict[str, Any]:
    """Unit vectors float32 ``[dimension]`` of the questions, by ``qa_id``."""
    filesystem, path = pafs.FileSystem.from_uri(address)
    table = pq.read_table(path, filesystem=filesystem)
    vectors = table["vector"].combine_chunks()
    matrix = vectors.flatten().to_numpy().reshape(len(vectors), -1)
    return dict(zip(table["qa_id"].to_pylist(), matrix, strict=True))
