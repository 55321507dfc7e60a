"""What is kept: judged, within the quotas, split by paper, with its passages, and written as a data set."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.rows.judging import judge_model, judged
from jobs.rows.pool import Pool, gather, requests_of
from jobs.rows.work import Row, RowsWork, table_of
from jobs.stages import FunnelStep
from qa_core.artifacts import Artifact
from qa_core.dataset.card import DatasetSummary, dataset_card
from qa_core.dataset.checks.examination import reject_row
from qa_core.dataset.conversations import converse
from qa_core.dataset.distractors import DistractorMiner
from qa_core.dataset.duplicates import twins_across
from qa_core.dataset.funnel import Funnel, require_yield, tally
from qa_core.dataset.layout import SPLITS, write_dataset
from qa_core.dataset.quotas import select_rows
from qa_core.dataset.requests import Request
from qa_core.schemas import QA, QA_REJECTED, Passage


@dataclass(frozen=True)
class Settled:
    """Where the rounds so far have led."""

    accepted: Mapping[str, int]
    """Rows of each type before the quota."""
    kept: Mapping[str, int]
    """Rows of each type within it."""
    out_of_budget: bool


@dataclass(frozen=True)
class Finished:
    """What was written."""

    funnel: Funnel
    of_split: Mapping[str, int]
    """Rows of each split."""


def settle(work: RowsWork, rounds: int) -> Settled:
    """Count what the first ``rounds`` rounds brought."""
    pool = gather(work, rounds)
    requests = requests_of(work, rounds)
    passed, by_judge = judged(work, pool, rounds)
    # What a replay brings must not change the rounds that it was made in: only first attempts count here.
    first = [row for row in passed if requests[row["request_id"]].attempt == 0]
    kept = Tally(row["question_type"] for row in _within_quota(work, first, requests))
    quotas = work.config.generate_qa.quotas.by_type
    return Settled(
        accepted=Tally(row["question_type"] for row in first),
        kept=kept,
        out_of_budget=any(_tells_of_budget(row) for row in [*pool.rejected, *by_judge])
        and any(kept[kind] < quota for kind, quota in quotas.items()),
    )


def _tells_of_budget(rejected: Row) -> bool:
    return rejected["reason"] == "budget_spent" or (
        rejected["reason"] == "judge_failed" and rejected["detail"].startswith("budget_spent")
    )


def finish(work: RowsWork, rounds: int, outputs: Mapping[str, Artifact]) -> Finished:
    """Write ``qa`` and ``qa_rejected``; raises :class:`YieldTooLow` when there is too little to write."""
    settings = work.config.generate_qa
    pool = gather(work, rounds)
    passed, by_judge = judged(work, pool, rounds)
    requests = requests_of(work, rounds)
    kept = _within_quota(work, passed, requests)
    kept_ids = {row["qa_id"] for row in kept}
    over = [reject_row(row, "quota", "over_quota") for row in passed if row["qa_id"] not in kept_ids]
    rejected = _attributed([*pool.rejected, *by_judge, *over], requests)
    funnel = tally(kept, rejected)
    require_yield(funnel, settings)
    rows = _conversations(work, kept, pool)
    table = table_of(rows, QA)
    with outputs["qa"].staging() as folder:
        write_dataset(table, folder, dataset_card(_summary(work, table, funnel)))
    with outputs["qa_rejected"].staging() as folder:
        pq.write_table(table_of(rejected, QA_REJECTED), folder / "part-00000.parquet")
    return Finished(funnel, {split: sum(row["split"] == split for row in rows) for split in SPLITS})


def _attributed(rejected: Sequence[Row], requests: Mapping[str, Request]) -> list[Row]:
    """``rejected`` under the request as it was first asked, so that a replay can go on counting its attempts."""
    attributed = []
    for row in rejected:
        request = requests.get(row["request_id"])
        first = (request.first_request_id or request.request_id, request.attempt) if request else ("", 0)
        attributed.append({**row, "request_id": first[0], "attempt": first[1]})
    return sorted(attributed, key=lambda row: tuple(str(row[name] or "") for name in QA_REJECTED.names))


def funnel_steps(funnel: Funnel) -> list[FunnelStep]:
    """The funnel for a person: what was proposed, and each step that lost something."""
    lossy = [
        FunnelStep(step.replace("_", " "), funnel.overall[step], lost) for step, lost in funnel.lost.items() if lost
    ]
    return [FunnelStep("proposed", funnel.proposed, {}), *lossy]


def _within_quota(work: RowsWork, rows: Sequence[Row], requests: Mapping[str, Request]) -> list[Row]:
    """What a person has seen comes first, and what a replay brought last: it takes no place that was filled."""
    settings = work.config.generate_qa

    def rank(row: Row) -> int:
        return 0 if row["review"] is not None else 1 if requests[row["request_id"]].attempt == 0 else 2

    return select_rows(rows, settings.quotas.by_type, settings.max_per_paper, work.config.run.seed, rank)


def _conversations(work: RowsWork, kept: Sequence[Row], pool: Pool) -> list[Row]:
    """``kept`` with split, passages and conversation, in the papers' order."""
    from qa_core.retrieval.index import PassageIndex

    chunks = work.chunks()
    splits = work.splits(chunks)
    position = {row["qa_id"]: place for place, row in enumerate(pool.rows)}
    vectors = pool.vectors[[position[row["qa_id"]] for row in kept]]
    _require_no_twins(kept, vectors, splits, work.config.generate_qa.near_duplicate_similarity)
    miner = DistractorMiner(PassageIndex.open(work.inputs["index"].local()), splits, work.config.retrieval)
    rows = []
    for row, vector in zip(kept, vectors, strict=True):
        gold = [Passage.from_row(chunks[chunk_id]) for chunk_id in row["chunk_ids"]]
        context, messages = converse(
            row, gold, miner.mine(row, vector), work.config.generate_qa.context,
            work.config.retrieval.top_k, work.config.run.seed,
        )  # fmt: skip
        rows.append({**row, "split": splits[row["doc_id"]], "context_chunk_ids": context, "messages": messages})
    order = {chunk_id: place for place, chunk_id in enumerate(chunks)}
    return sorted(rows, key=lambda row: (order[row["chunk_ids"][0]], row["question_type"], row["qa_id"]))


def _require_no_twins(rows: Sequence[Row], vectors: np.ndarray, splits: Mapping[str, str], threshold: float) -> None:
    """No question of one split may have a twin in another: the test would then measure memory."""
    questions = [row["question"] for row in rows]
    twins = twins_across(vectors, questions, [splits[row["doc_id"]] for row in rows], threshold)
    if twins:
        first, second = twins[0]
        raise RuntimeError(f"{len(twins)} twins across splits, such as {rows[first]['qa_id']}, {rows[second]['qa_id']}")


def _summary(work: RowsWork, rows: pa.Table, funnel: Funnel) -> DatasetSummary:
    """What the data set's card tells."""
    config = work.config
    papers = work.inputs["documents"].read_table(columns=["doc_id", "title"]).to_pylist()
    return DatasetSummary(
        name=config.run.name,
        rows=rows,
        titles={row["doc_id"]: row["title"] for row in papers if row["doc_id"]},
        judge=judge_model(work).name if config.generate_qa.judge else None,
        funnel=[asdict(step) for step in funnel_steps(funnel)],
        context=config.generate_qa.context,
        seed=config.run.seed,
    )
