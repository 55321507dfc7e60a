"""Replies to candidates: parsed, checked, reviewed and embedded on a Ray Data actor pool."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa

from jobs.progress import Counter
from jobs.rows.work import Row, RowsWork
from qa_core.schemas import QA, QA_REJECTED

CANDIDATES = pa.schema(
    [
        ("accepted", pa.struct(list(QA))),
        ("vector", pa.list_(pa.float32())),  # of the question, as the retriever embeds it
        ("rejected", pa.struct(list(QA_REJECTED))),
    ]
)
"""One proposal a row: it is either accepted, with its vector, or rejected."""


def candidates_table(number: int) -> str:
    return f"candidates-{number:02}"


def examine(work: RowsWork, requests: str, candidates: str, counter: Counter) -> None:
    """Write the table ``candidates`` from the table ``requests`` and the replies in the log."""
    import ray

    from jobs.ray_session import on_cluster

    compute = work.config.generate_qa.compute
    blocks = (
        work.dataset(requests, compute.num_workers * 2)
        .map_batches(
            _ExamineBatch,
            fn_constructor_kwargs={"work": work, "requests": requests, "counter": counter},
            batch_format="pyarrow",
            batch_size=compute.batch_size,
            compute=ray.data.ActorPoolStrategy(size=compute.num_workers),
            num_cpus=compute.cpus_per_worker,
            **({"num_gpus": compute.gpus_per_worker} if compute.gpus_per_worker else {}),
        )
        .to_arrow_refs()
    )
    on_cluster(_write, work, candidates, list(blocks), num_cpus=compute.cpus_per_worker)


def _write(work: RowsWork, name: str, blocks: Sequence[Any]) -> None:
    import ray

    tables = [ray.get(block) for block in blocks]
    full = [table.cast(CANDIDATES) for table in tables if table.num_rows]
    work.write(name, pa.concat_tables(full) if full else CANDIDATES.empty_table())


class _ExamineBatch:
    """One actor of the pool."""

    def __init__(self, work: RowsWork, requests: str, counter: Counter) -> None:
        from qa_core.dataset.reviews import read_reviews
        from qa_core.retrieval.embedding import Embedder

        self._work, self._counter = work, counter
        self._embedder = Embedder(work.config.index.embedder)
        self._reviews = read_reviews(work.inputs["chunks"].store)
        self._replies = work.replies.read(set(work.read(requests, ["request_id"])["request_id"].to_pylist()))

    def __call__(self, batch: pa.Table) -> pa.Table:
        accepted, rejected = [], []
        for row in batch.to_pylist():
            good, bad = self._examine(row)
            accepted += good
            rejected += bad
        self._counter.advance(batch.num_rows)
        rows = [{"accepted": row, "vector": self._embed(row), "rejected": None} for row in accepted]
        rows += [{"accepted": None, "vector": None, "rejected": row} for row in rejected]
        return pa.Table.from_pylist(rows, schema=CANDIDATES)

    def _examine(self, row: Row) -> tuple[list[Row], list[Row]]:
        from qa_core.dataset.checks.examination import examine
        from qa_core.dataset.requests import Request
        from qa_core.dataset.reviews import apply_reviews
        from qa_core.dataset.wording import prompt_version

        settings = self._work.config.generate_qa
        request = Request.from_row(row)
        kind: Any = request.question_type
        good, bad = examine(
            request,
            self._replies.get(request.request_id, _NO_REPLY),
            settings,
            teacher=settings.teacher.name,
            prompt_version=prompt_version(settings.teacher.engine, kind),
            paper_texts=self._paper_texts,
        )
        good, reviewed_away = apply_reviews(good, self._reviews)
        return good, [*bad, *reviewed_away]

    def _embed(self, row: Row) -> list[float]:
        return self._embedder.embed_query(row["question"]).tolist()

    def _paper_texts(self, doc_id: str) -> Sequence[str]:
        return self._texts_of_paper.get(doc_id, ())

    @cached_property
    def _texts_of_paper(self) -> dict[str, list[str]]:
        texts: dict[str, list[str]] = {}
        for row in self._work.inputs["chunks"].read_table(columns=["doc_id", "text"]).to_pylist():
            texts.setdefault(row["doc_id"], []).append(row["text"])
        return texts


_NO_REPLY: Row = {"text": "", "error": "no_reply: the teacher was not asked, or its answer was lost"}
