"""Papers to chunks on Ray Data: ``lectern chunk``.

A task reads and cuts one group of neighbouring papers, and each group becomes one file. So the rows, their order and
the bytes of every file depend on the corpus alone, never on the number of workers.
"""

from __future__ import annotations

import math
from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from ray.data import Dataset, SaveMode, TaskPoolStrategy
from ray.data.datasource import FilenameProvider

from jobs.progress import Counter
from jobs.stages import StageContext, StageOutcome
from qa_core.artifacts import Artifact
from qa_core.config import ChunkSettings
from qa_core.corpus.chunking import Chunker, Row, rejected_file
from qa_core.corpus.dedup import content_hash, find_duplicates
from qa_core.corpus.readers import DocumentRejected, PaperFile, find_papers, load_document
from qa_core.errors import UserError
from qa_core.schemas import CHUNKS, CHUNKS_REJECTED
from qa_core.training.base_model import tokenizer_file

PAPERS_PER_GROUP = 8
MAX_GROUPS = 1000
"""Very large corpora get larger groups instead of more files."""

# One row a paper, so that a duplicate can be taken out once all papers are known.
_CUT_PAPERS = pa.schema(
    [
        ("source", pa.string()),
        ("content_hash", pa.string()),  # null for a refused file
        ("chunks", pa.list_(pa.struct(list(CHUNKS)))),
        ("rejected", pa.list_(pa.struct(list(CHUNKS_REJECTED)))),
    ]
)
_SUMMARY = pa.schema(
    [
        ("source", pa.string()),
        ("content_hash", pa.string()),
        ("num_chunks", pa.int64()),
        ("num_tokens", pa.int64()),
        ("reasons", pa.list_(pa.string())),
    ]
)


def run(context: StageContext) -> StageOutcome:
    """Write ``chunks`` and ``chunks_rejected``; a bad file is a row in the latter and never stops the run."""
    settings = context.config.chunk
    papers = find_papers(settings.papers)
    tokenizer_file(context.inputs["base"].local())  # a hub that does not answer is told now, not by every task
    with context.progress.track("papers", len(papers)) as counter:
        cut = _cut_papers(papers, context.inputs["base"], settings, counter)
        summary = cut.map_batches(
            summarise, batch_size=None, batch_format="pyarrow", num_cpus=_cpus(settings)
        ).take_all()
        duplicates = find_duplicates((row["source"], row["content_hash"]) for row in summary if row["content_hash"])
        outcome = _outcome(summary, duplicates)
        if not outcome.num_rows["chunks"]:
            raise _nothing_left(settings, outcome)
        _write(cut, "chunks", CHUNKS, duplicates, settings, context.outputs["chunks"])
        _write(cut, "rejected", CHUNKS_REJECTED, duplicates, settings, context.outputs["chunks_rejected"])
        if not outcome.num_rows["chunks_rejected"]:
            _write_empty(CHUNKS_REJECTED, context.outputs["chunks_rejected"])
    return outcome


class NumberedFiles(FilenameProvider):
    """Files named by their place in the order, where Ray would put a random run id."""

    def get_filename_for_task(self, write_uuid: str, task_index: int) -> str:
        return f"part-{task_index:05}.parquet"


def _cpus(settings: ChunkSettings) -> float:
    return settings.compute.cpus_per_worker


def _cut_papers(papers: Sequence[PaperFile], base: Artifact, settings: ChunkSettings, counter: Counter) -> Dataset:
    """One row of ``_CUT_PAPERS`` a paper, in the order of ``papers``, held in the object store."""
    size = max(PAPERS_PER_GROUP, math.ceil(len(papers) / MAX_GROUPS))
    groups = [papers[first : first + size] for first in range(0, len(papers), size)]
    return (
        ray.data.range(len(groups), override_num_blocks=len(groups))
        .map_batches(
            partial(cut_groups, groups=groups, base=base, settings=settings, counter=counter),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=_cpus(settings),
            compute=TaskPoolStrategy(size=min(settings.compute.num_workers, len(groups))),
        )
        .materialize()
    )


def cut_groups(
    numbers: pa.Table, groups: Sequence[Sequence[PaperFile]], base: Artifact, settings: ChunkSettings, counter: Counter
) -> pa.Table:
    """The papers of the groups with these ``numbers``, read and cut."""
    chunker = _chunker(tokenizer_file(base.local()), settings)
    rows = []
    for number in numbers["id"].to_pylist():
        for paper in groups[number]:
            rows.append(_cut_paper(paper, chunker))
            counter.advance()
    return pa.Table.from_pylist(rows, schema=_CUT_PAPERS)


@lru_cache(maxsize=1)
def _chunker(tokenizer: Path, settings: ChunkSettings) -> Chunker:
    """Loaded once a worker process, which Ray uses for many groups."""
    return Chunker(tokenizer, settings)


def _cut_paper(paper: PaperFile, chunker: Chunker) -> dict[str, Any]:
    try:
        document = load_document(paper)
        chunks, rejected = chunker.chunk(document)
    except DocumentRejected as error:
        return _refused(rejected_file(paper.source, error.reason, error.detail))
    except Exception as error:  # a defect in the cutter costs one paper and is counted, not a night's run
        return _refused(rejected_file(paper.source, "failed", f"{type(error).__name__}: {error}"))
    return {
        "source": paper.source,
        "content_hash": content_hash(document.text),
        "chunks": chunks,
        "rejected": rejected,
    }


def _refused(row: Row) -> dict[str, Any]:
    return {"source": row["source"], "content_hash": None, "chunks": [], "rejected": [row]}


def summarise(cut: pa.Table) -> pa.Table:
    """Per paper what the driver needs to know: hash, counts and reasons, but no text."""
    rows = [
        {
            "source": source,
            "content_hash": digest,
            "num_chunks": len(chunks),
            "num_tokens": sum(chunk["num_tokens"] for chunk in chunks),
            "reasons": [row["reason"] for row in rejected],
        }
        for source, digest, chunks, rejected in zip(*cut.to_pydict().values(), strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=_SUMMARY)


def _outcome(summary: Sequence[Mapping[str, Any]], duplicates: Mapping[str, str]) -> StageOutcome:
    kept = [row for row in summary if row["source"] not in duplicates]
    rejected = Tally(reason for row in kept for reason in row["reasons"])
    rejected.update({"duplicate_document": len(duplicates)} if duplicates else {})
    num_chunks = sum(row["num_chunks"] for row in kept)
    return StageOutcome(
        num_rows={"chunks": num_chunks, "chunks_rejected": rejected.total()},
        rejected=dict(sorted(rejected.items())),
        metrics={
            "papers": len(summary),
            "papers_with_chunks": sum(row["num_chunks"] > 0 for row in kept),
            "chunks": num_chunks,
            "tokens": sum(row["num_tokens"] for row in kept),
        },
    )


def _nothing_left(settings: ChunkSettings, outcome: StageOutcome) -> UserError:
    reasons = ", ".join(f"{reason} {n}" for reason, n in outcome.rejected.items())
    return UserError(
        f"none of the {outcome.metrics['papers']} papers in {settings.papers} gave a chunk: {reasons}",
        "Papers are UTF-8 markdown with text below their headings; shorter ones need a lower chunk.min_tokens.",
    )


def _write(
    cut: Dataset, column: str, schema: pa.Schema, duplicates: Mapping[str, str], settings: ChunkSettings, out: Artifact
) -> None:
    """Write the rows nested in ``column`` as parquet, one file a group of papers."""
    # The mode that makes the folder anew is the only quiet one that takes file names without a random id.
    out.filesystem.delete_dir(out.staging_path)
    cut.select_columns(["source", column]).map_batches(
        partial(unnest, column=column, schema=schema, duplicates=duplicates),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=_cpus(settings),
    ).write_parquet(
        out.staging_path, filesystem=out.filesystem, filename_provider=NumberedFiles(), mode=SaveMode.CREATE
    )


def unnest(cut: pa.Table, column: str, schema: pa.Schema, duplicates: Mapping[str, str]) -> pa.Table:
    """The rows in the lists of ``column``; a duplicate has no chunks and one rejection."""
    rows: list[Row] = []
    for source, nested in zip(cut["source"].to_pylist(), cut[column].to_pylist(), strict=True):
        if source not in duplicates:
            rows.extend(nested)
        elif schema.equals(CHUNKS_REJECTED):
            rows.append(rejected_file(source, "duplicate_document", f"same text as {duplicates[source]}"))
    return pa.Table.from_pylist(rows, schema=schema)


def _write_empty(schema: pa.Schema, out: Artifact) -> None:
    """A table without rows still has its columns; Ray writes no file for it."""
    with out.staging() as folder:
        pq.write_table(schema.empty_table(), folder / "part-00000-0.parquet")
