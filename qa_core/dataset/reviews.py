"""What a person decided about rows: a file of JSON lines beside the run's artifacts, which every later run applies.

Decisions are only ever appended and the last one about a row wins, so two pages that are open at once, or a kill in the
middle of a line, lose nothing that was acknowledged. A row is named by ``qa_id``, the hash of what the teacher said: it
is found again in a later run, and also after it was edited.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pyarrow.fs as pafs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from qa_core.artifacts import RunStore
from qa_core.dataset.proposals import Proposal, Quote
from qa_core.errors import UserError
from qa_core.manifest import digest

REVIEWS_FILE = "reviews.jsonl"
STAGE, REASON = "review", "rejected_by_reviewer"

Row = dict[str, Any]
Verdict = Literal["accept", "edit", "reject", "withdraw"]


class Decision(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    qa_id: str = Field(min_length=1)
    decision: Verdict
    """``withdraw`` takes back what was decided before."""
    question: str | None = None
    answer: str | None = None
    note: str = ""
    time: str = ""
    """UTC, ISO 8601."""

    @model_validator(mode="after")
    def _edit_has_both_texts(self) -> Decision:
        if self.decision == "edit" and not ((self.question or "").strip() and (self.answer or "").strip()):
            raise ValueError("an edit needs a question and an answer")
        return self


Reviews = Mapping[str, Decision]
"""The decision that counts, by ``qa_id``."""


def reviews_uri(store: RunStore) -> str:
    return f"{store.uri}/{REVIEWS_FILE}"


def read_reviews(store: RunStore) -> dict[str, Decision]:
    """The decisions of a run, wherever it is stored; none when there is no file.

    A last line without its line break was never acknowledged and is left out when it cannot be read. Any other line
    that cannot be read is a :class:`UserError`.
    """
    path = f"{store.path}/{REVIEWS_FILE}"
    if store.filesystem.get_file_info(path).type != pafs.FileType.File:
        return {}
    with store.filesystem.open_input_stream(path, compression=None) as stream:
        content: bytes = stream.read()
    last: dict[str, Decision] = {}
    *lines, tail = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            decision = _decision(line, f"{reviews_uri(store)}, line {number}")
            last[decision.qa_id] = decision
    if (decision_or_none := _whole(tail)) is not None:
        last[decision_or_none.qa_id] = decision_or_none
    return {qa_id: decision for qa_id, decision in last.items() if decision.decision != "withdraw"}


def reviews_digest(store: RunStore) -> str:
    """Hash of what :func:`apply_reviews` depends on: equal whatever the order and the times, or without any file."""
    return digest(sorted(decision.model_dump_json(exclude={"time"}) for decision in read_reviews(store).values()))


def append_decision(store: RunStore, decision: Decision) -> None:
    """Add a line; it is on the disk when this returns.

    Raises:
        UserError: the run is not in a local folder, or the file cannot be written.
    """
    path = local_file(store)
    try:
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # another page may be writing
            end = _end_of_whole_lines(file)
            file.truncate(end)
            try:
                file.write(decision.model_dump_json(exclude_defaults=True).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), end)
                raise
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror}", "Free some space, or mend its rights."
        ) from error


def local_file(store: RunStore) -> Path:
    """The file on this machine; :class:`UserError` for a run that is stored elsewhere."""
    if not store.is_local:
        raise UserError(
            f"rows are reviewed in a local run folder, and the run is at {store.uri}",
            f"Copy its qa/ and chunks/ to a local folder, review there, and copy {REVIEWS_FILE} back to {store.uri}.",
        )
    return Path(store.path) / REVIEWS_FILE


def apply_reviews(rows: Sequence[Mapping[str, Any]], reviews: Reviews) -> tuple[list[Row], list[Row]]:
    """``rows`` of ``QA`` that stay, accepted or edited ones marked, and rows of ``QA_REJECTED`` for the others.

    To be applied before conversations are made, as they repeat question and answer.
    """
    kept: list[Row] = []
    rejected: list[Row] = []
    for row in rows:
        decision = reviews.get(row["qa_id"])
        if decision is None:
            kept.append(dict(row))
        elif decision.decision == "reject":
            rejected.append(_rejected(row, decision.note))
        elif decision.decision == "edit":
            kept.append({**row, "question": decision.question, "answer": decision.answer, "review": "edited"})
        else:
            kept.append({**row, "review": "accepted"})
    return kept, rejected


def _rejected(row: Mapping[str, Any], note: str) -> Row:
    order = {chunk_id: number for number, chunk_id in enumerate(row["chunk_ids"], start=1)}
    quotes = tuple(Quote(order.get(span["chunk_id"], 1), span["text"]) for span in row["evidence"])
    return {
        "request_id": row["request_id"],
        "attempt": 0,
        "doc_id": row["doc_id"],
        "chunk_id": row["chunk_ids"][0],
        "question_type": row["question_type"],
        "stage": STAGE,
        "reason": REASON,
        "detail": note,
        "raw_response": Proposal(row["question"], row["answer"], quotes).to_json(),
        "teacher": row["teacher"],
    }


def _decision(line: bytes, where: str) -> Decision:
    try:
        return Decision.model_validate_json(line)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise UserError(
            f"{where}: not a decision: {problem}", "Mend or delete that line; the others are kept."
        ) from error


def _whole(tail: bytes) -> Decision | None:
    """The decision in a line without line break; None when it was torn."""
    try:
        return Decision.model_validate_json(tail)
    except ValidationError:
        return None


def _end_of_whole_lines(file: BinaryIO) -> int:
    """Where the next line begins: behind the last whole one. One that only lacks its line break is given it."""
    file.seek(0)
    content = file.read()
    tail = content.rpartition(b"\n")[2]
    if not tail:
        return len(content)
    if _whole(tail) is None:
        return len(content) - len(tail)
    file.write(b"\n")
    file.flush()
    return len(content) + 1
