"""All candidates of the rounds so far, without those that ask the same again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.rows.examining import candidates_table
from jobs.rows.planning import requests_table, unaskable_table
from jobs.rows.work import Row, RowsWork
from qa_core.dataset.checks.examination import reject_row
from qa_core.dataset.duplicates import drop_duplicates, near_duplicates
from qa_core.dataset.requests import Request


@dataclass(frozen=True)
class Pool:
    """``vectors[i]`` belongs to the question of ``rows[i]``."""

    rows: list[Row]
    vectors: np.ndarray
    rejected: list[Row]


def gather(work: RowsWork, rounds: int) -> Pool:
    """Candidates of the first ``rounds`` rounds; of two that ask the same, the one that a person has seen stays, and
    otherwise the one of the earlier round, so that a later round takes nothing back."""
    rows, vectors, rejected = _read(work, rounds)
    order = sorted(range(len(rows)), key=lambda i: (rows[i][1]["review"] is None, rows[i][0], _place(rows[i][1])))
    ordered = [rows[i][1] for i in order]
    unique, same = drop_duplicates(ordered)
    rejected += [reject_row(row, "duplicate", "duplicate_question") for row in same]
    kept = {row["qa_id"] for row in unique}
    matrix = vectors[[i for i in order if rows[i][1]["qa_id"] in kept]]
    questions = [row["question"] for row in unique]
    twins = near_duplicates(matrix, questions, work.config.generate_qa.near_duplicate_similarity)
    rejected += [
        reject_row(row, "duplicate", "near_duplicate", unique[twin]["question"])
        for row, twin in zip(unique, twins, strict=True)
        if twin is not None
    ]
    alone = [position for position, twin in enumerate(twins) if twin is None]
    return Pool([unique[position] for position in alone], matrix[alone], rejected)


def _read(work: RowsWork, rounds: int) -> tuple[list[tuple[int, Row]], np.ndarray, list[Row]]:
    """Accepted rows with their round, each ``qa_id`` once, their vectors, and the rejected rows."""
    accepted: dict[str, tuple[int, Row]] = {}
    vectors: dict[str, list[float]] = {}
    rejected: list[Row] = []
    for number in range(rounds):
        # A round that had nothing left to ask has no candidates.
        candidates = work.read(candidates_table(number)) if work.exists(candidates_table(number)) else None
        for row in candidates.to_pylist() if candidates is not None else ():
            if row["accepted"] is None:
                rejected.append(row["rejected"])
            elif row["accepted"]["qa_id"] in accepted:  # the same pair once more, of another type or from a replay
                rejected.append(reject_row(row["accepted"], "duplicate", "duplicate_question"))
            else:
                accepted[row["accepted"]["qa_id"]] = number, row["accepted"]
                vectors[row["accepted"]["qa_id"]] = row["vector"]
        rejected += work.read(unaskable_table(number)).to_pylist()
    matrix = np.array(list(vectors.values()), dtype=np.float32).reshape(len(vectors), -1)
    return list(accepted.values()), matrix, rejected


def requests_of(work: RowsWork, rounds: int) -> dict[str, Request]:
    """All requests of the first ``rounds`` rounds by id."""
    return {
        row["request_id"]: Request.from_row(row)
        for number in range(rounds)
        for row in work.read(requests_table(number)).to_pylist()
    }


def _place(row: Row) -> tuple[str, int, list[str], str]:
    return row["doc_id"], row["evidence"][0]["start_char"] if row["evidence"] else 0, row["chunk_ids"], row["qa_id"]
