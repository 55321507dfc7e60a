"""``lectern index``: chunks to embeddings on a Ray Data actor pool, then one index written by one task.

Vectors wait in the scratch folder, so rows pass through no driver. A vector depends on its own text only and the index
follows the order of the chunks: the bytes are the same for any number of workers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from jobs.progress import Counter
from jobs.ray_session import on_cluster
from jobs.stages import StageContext, StageOutcome
from qa_core.artifacts import Artifact
from qa_core.config import IndexSettings, SentenceTransformersEmbedder
from qa_core.errors import UserError
from qa_core.schemas import PASSAGES

_COLUMNS = ["chunk_id", "prefix", "text"]
_BLOCKS_PER_WORKER = 4
"""Blocks to each actor, so that the last one to finish holds the others up for a quarter of its work at most."""
_SIDE_CPUS = 0.1
"""Reading and writing wait for disks; a whole CPU for them would starve the actors on a small machine."""


def run(context: StageContext) -> StageOutcome:
    """Index every chunk, references included: a reader may ask what a paper cites."""
    from qa_core.retrieval.embedding import locate_model

    settings, chunks = context.config.index, context.inputs["chunks"]
    locate_model(settings.embedder.name_or_path)  # a missing model is told now, not by an actor that cannot start
    filesystem, vectors = _vector_folder(context.scratch)
    total = chunks.read_table(columns=["num_tokens"]).num_rows
    if total == 0:
        raise UserError(f"{chunks.uri} has no chunks to index.", "See chunks_rejected beside it for the reasons.")
    with context.progress.track("chunks", total) as counter:
        _embed(chunks, settings, filesystem, vectors, counter)
    dimension = on_cluster(
        _write, chunks, filesystem, vectors, settings, context.outputs["index"],
        num_cpus=settings.compute.cpus_per_worker,
    )  # fmt: skip
    return StageOutcome(num_rows={"index": total}, rejected={}, metrics={"passages": total, "dimension": dimension})


def _vector_folder(scratch: str) -> tuple[pafs.FileSystem, str]:
    filesystem, path = pafs.FileSystem.from_uri(scratch) if "://" in scratch else (pafs.LocalFileSystem(), scratch)
    return filesystem, f"{path}/vectors"


class _EmbedBatch:
    """One actor of the pool."""

    def __init__(self, settings: SentenceTransformersEmbedder, counter: Counter) -> None:
        from qa_core.retrieval.embedding import Embedder

        self._embedder = Embedder(settings)
        self._counter = counter

    def __call__(self, batch: pa.Table) -> pa.Table:
        from qa_core.corpus.packing import passage_text

        rows = batch.to_pylist()
        texts = [passage_text(row["prefix"], row["text"]) for row in rows]
        vectors = self._embedder.embed_passages(texts)
        self._counter.advance(len(rows))
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        return pa.table({"chunk_id": batch["chunk_id"], "vector": column})


def _embed(
    chunks: Artifact, settings: IndexSettings, filesystem: pafs.FileSystem, vectors: str, counter: Counter
) -> None:
    """Write one vector for each chunk below ``vectors``, replacing what a killed run left there."""
    import ray
    from ray.data import ActorPoolStrategy, SaveMode

    compute = settings.compute
    gpus: dict[str, Any] = {"num_gpus": compute.gpus_per_worker} if compute.gpus_per_worker else {}
    (
        ray.data.read_parquet(
            chunks.path,
            filesystem=chunks.filesystem,
            columns=_COLUMNS,
            file_extensions=["parquet"],
            override_num_blocks=compute.num_workers * _BLOCKS_PER_WORKER,
            num_cpus=_SIDE_CPUS,
        )
        .map_batches(
            _EmbedBatch,
            fn_constructor_kwargs={"settings": settings.embedder, "counter": counter},
            batch_size=compute.batch_size,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=compute.num_workers),
            num_cpus=compute.cpus_per_worker,
            **gpus,
        )
        .write_parquet(
            vectors, filesystem=filesystem, mode=SaveMode.OVERWRITE, ray_remote_args={"num_cpus": _SIDE_CPUS}
        )
    )


def _write(
    chunks: Artifact, filesystem: pafs.FileSystem, vectors: str, settings: IndexSettings, output: Artifact
) -> int:
    """Write the index in the order of the chunks; returns the dimension."""
    from qa_core.retrieval.index import write_index

    table = chunks.read_table()
    embedded = pq.read_table(vectors, filesystem=filesystem)
    order = pc.index_in(table["chunk_id"], value_set=embedded["chunk_id"])
    if order.null_count or embedded.num_rows != table.num_rows:
        raise RuntimeError(f"{embedded.num_rows} vectors for {table.num_rows} chunks")
    column = embedded["vector"].combine_chunks()
    matrix = column.flatten().to_numpy(zero_copy_only=False).reshape(embedded.num_rows, -1)[order.to_numpy()]
    with output.staging() as folder:
        write_index(np.ascontiguousarray(matrix), passage_table(table), settings, folder)
    return int(matrix.shape[1])


def passage_table(chunks: pa.Table) -> pa.Table:
    """Rows of ``CHUNKS`` to rows of ``PASSAGES``, in the same order."""
    return chunks.select(PASSAGES.names).cast(PASSAGES)
