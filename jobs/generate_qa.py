"""generate-qa: chunks -> question/answer rows and rejected rows. ``lectern generate-qa --config tiny``

Asking and checking run per chunk on Ray Data. What needs all rows at once (duplicates, quotas, splits) runs in one
task over rows that are few by then; no row passes through the driver.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray

from jobs.progress import Counter
from jobs.ray_session import on_cluster
from jobs.stages import StageContext, StageOutcome
from qa_core.artifacts import Artifact
from qa_core.config import GenerateQASettings
from qa_core.dataset.checks import check_all, count_reasons, is_worth_asking, reject_row, require_yield
from qa_core.dataset.quotas import drop_duplicates, select_rows
from qa_core.dataset.splits import split_documents
from qa_core.dataset.teachers import build_teacher
from qa_core.schemas import QA, QA_REJECTED

Row = dict[str, Any]

_CHECKED = pa.schema([("accepted", pa.struct(list(QA))), ("rejected", pa.struct(list(QA_REJECTED)))])
"""One proposal a row: one of the two columns is null."""


def run(context: StageContext) -> StageOutcome:
    """Raises :class:`~qa_core.dataset.checks.YieldTooLow` below ``min_rows`` accepted rows."""
    settings, seed = context.config.generate_qa, context.config.run.seed
    chunks = context.inputs["chunks"]
    manifest = chunks.manifest()
    with context.progress.track("chunks", manifest.num_rows if manifest else None) as counter:
        blocks = _ask(chunks, settings, seed, counter)
    accepted, rejected = on_cluster(
        _finish, blocks, settings, seed, dict(context.outputs), num_cpus=settings.compute.cpus_per_worker
    )
    rows = sum(accepted[name] for name in settings.question_types)
    return StageOutcome({"qa": rows, "qa_rejected": sum(rejected.values())}, rejected, {"rows": rows, **accepted})


def _ask(chunks: Artifact, settings: GenerateQASettings, seed: int, counter: Counter) -> list[ray.ObjectRef[pa.Table]]:
    """Blocks of ``_CHECKED``, left in the object store."""
    compute = settings.compute
    dataset = ray.data.read_parquet(
        chunks.path,
        filesystem=chunks.filesystem,
        file_extensions=["parquet"],
        override_num_blocks=compute.num_workers,
        ray_remote_args={"num_cpus": compute.cpus_per_worker},
    ).map_batches(
        partial(_ask_batch, settings=settings, seed=seed, counter=counter),
        batch_format="pyarrow",
        batch_size=compute.batch_size,
        compute=ray.data.TaskPoolStrategy(size=compute.num_workers),
        num_cpus=compute.cpus_per_worker,
        num_gpus=compute.gpus_per_worker,
    )
    return list(dataset.to_arrow_refs())


def _ask_batch(batch: pa.Table, settings: GenerateQASettings, seed: int, counter: Counter) -> pa.Table:
    """Proposals for a batch of ``CHUNKS``, each one checked by itself."""
    teacher = build_teacher(settings, seed)
    rows: list[Row] = []
    for chunk in batch.to_pylist():
        proposals = teacher.propose(chunk) if is_worth_asking(chunk, settings.min_density) else []
        accepted, rejected = check_all(proposals, chunk, teacher.name, settings.max_answer_chars)
        rows += [{"accepted": {**row, "split": None}, "rejected": None} for row in accepted]
        rows += [{"accepted": None, "rejected": row} for row in rejected]
    counter.advance(batch.num_rows)
    return pa.Table.from_pylist(rows, schema=_CHECKED)


def _finish(
    blocks: Sequence[ray.ObjectRef[pa.Table]], settings: GenerateQASettings, seed: int, outputs: Mapping[str, Artifact]
) -> tuple[dict[str, int], dict[str, int]]:
    """Write both artifacts; rows per type and per split, and rejected rows per reason."""
    proposals = [row for block in ray.get(list(blocks)) for row in block.to_pylist()]
    # The order of blocks depends on the number of workers; from here on the order is the papers' own.
    rows = sorted((row["accepted"] for row in proposals if row["accepted"]), key=_place)
    unique, duplicates = drop_duplicates(rows)
    kept = select_rows(unique, settings.rows, settings.question_types, seed)
    kept_ids = {row["qa_id"] for row in kept}
    rejected = [row["rejected"] for row in proposals if row["rejected"]]
    rejected += [reject_row(row, "duplicate_question") for row in duplicates]
    rejected += [reject_row(row, "over_quota") for row in unique if row["qa_id"] not in kept_ids]
    rejected.sort(key=lambda row: (row["chunk_id"], row["question_type"], row["reason"], row["raw_response"]))
    reasons = count_reasons(rejected)
    require_yield(len(kept), settings.min_rows, reasons)
    splits = split_documents((row["doc_id"] for row in kept), settings.splits, seed)
    kept = [{**row, "split": splits[row["doc_id"]]} for row in kept]
    _write(outputs["qa"], pa.Table.from_pylist(kept, schema=QA))
    _write(outputs["qa_rejected"], pa.Table.from_pylist(rejected, schema=QA_REJECTED))
    types, of_split = Tally(row["question_type"] for row in kept), Tally(row["split"] for row in kept)
    counts = {name: types[name] for name in settings.question_types}
    return counts | {name: of_split[name] for name in ("train", "validation", "test")}, reasons


def _place(row: Row) -> tuple[str, int, list[str], str]:
    return row["doc_id"], row["evidence"][0]["start_char"], row["chunk_ids"], row["qa_id"]


def _write(artifact: Artifact, table: pa.Table) -> None:
    with artifact.staging() as folder:
        pq.write_table(table, folder / "part-00000.parquet")
