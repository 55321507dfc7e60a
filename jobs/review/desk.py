"""The rows on the reviewer's desk: each with its passages, its evidence marked in them, and what was decided so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from qa_core.artifacts import Artifact, RunStore
from qa_core.dataset.reviews import Decision, append_decision, read_reviews
from qa_core.errors import UserError

Row = Mapping[str, Any]

_QA_COLUMNS = [
    "qa_id", "question_type", "split", "teacher", "question", "answer", "answerable", "chunk_ids", "evidence", "review",
]  # fmt: skip
_CHUNK_COLUMNS = ["chunk_id", "source", "title", "section_path", "start_char", "text"]


class Desk:
    """The rows of one run as they were when it was opened; decisions are read from the file each time."""

    def __init__(self, store: RunStore) -> None:
        """Raises :class:`UserError` where rows or passages are missing, or the file of decisions is damaged."""
        self.store = store
        rows = _complete(store.artifact("qa")).read_table(_QA_COLUMNS)
        self._rows: dict[str, Row] = {row["qa_id"]: row for row in rows.to_pylist()}
        self._passages = _passages(_complete(store.artifact("chunks")), rows)
        read_reviews(store)

    def __contains__(self, qa_id: str) -> bool:
        return qa_id in self._rows

    def overview(self) -> dict[str, Any]:
        """The run's name and, for each row in order, what it can be found by."""
        decisions = read_reviews(self.store)
        return {
            "run": self.store.path.rsplit("/", 1)[-1],
            "rows": [
                {
                    "qa_id": qa_id,
                    "question_type": row["question_type"],
                    "split": row["split"],
                    "decision": decisions[qa_id].decision if qa_id in decisions else None,
                }
                for qa_id, row in self._rows.items()
            ],
        }

    def row(self, qa_id: str) -> dict[str, Any]:
        """One row in full, its question and answer as decided; ``original`` is the teacher's, where that is known."""
        row, decision = self._rows[qa_id], read_reviews(self.store).get(qa_id)
        edited = decision if decision and decision.decision == "edit" else None
        original = {name: row[name] for name in ("question", "answer")}
        passages = [self._passages[chunk_id] for chunk_id in row["chunk_ids"]]
        return {
            **{name: row[name] for name in ("qa_id", "question_type", "split", "teacher", "answerable")},
            "question": edited.question if edited else row["question"],
            "answer": edited.answer if edited else row["answer"],
            "original": original if edited and row["review"] != "edited" else None,
            "decision": decision.model_dump(exclude={"qa_id"}) if decision else None,
            "passages": [_shown(passage, row["evidence"]) for passage in passages],
        }

    def decide(self, decision: Decision) -> None:
        append_decision(self.store, decision)

    def counts(self) -> dict[str, int]:
        """How many of the rows there are, and how many of them were decided upon in each way."""
        decisions = read_reviews(self.store)
        made = [decisions[qa_id].decision for qa_id in self._rows if qa_id in decisions]
        return {"rows": len(self._rows), **{name: made.count(name) for name in ("accept", "edit", "reject")}}


def marked(text: str, start_char: int, spans: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """``text`` in pieces, each inside a span or outside all of them.

    Offsets are cut here, as Python and the papers count code points, and a browser counts UTF-16 units.

    Args:
        start_char: of ``text`` in the document, in which ``spans`` count as well.
    """
    pieces: list[dict[str, Any]] = []
    done = 0
    for start, end in sorted((start - start_char, end - start_char) for start, end in spans):
        start, end = max(start, done), min(end, len(text))
        if start >= end:
            continue
        pieces += [{"text": text[done:start], "is_evidence": False}] if start > done else []
        pieces.append({"text": text[start:end], "is_evidence": True})
        done = end
    return [*pieces, {"text": text[done:], "is_evidence": False}] if done < len(text) else pieces


def _shown(passage: Row, evidence: Sequence[Row]) -> dict[str, Any]:
    spans = [(span["start_char"], span["end_char"]) for span in evidence if span["chunk_id"] == passage["chunk_id"]]
    return {
        **{name: passage[name] for name in ("source", "title", "section_path")},
        "pieces": marked(passage["text"], passage["start_char"], spans),
    }


def _passages(chunks: Artifact, rows: pa.Table) -> dict[str, Row]:
    """The chunks that ``rows`` point at."""
    wanted = pc.unique(pc.list_flatten(rows["chunk_ids"]))
    table = chunks.read_table(_CHUNK_COLUMNS)
    found = {row["chunk_id"]: row for row in table.filter(pc.is_in(table["chunk_id"], wanted)).to_pylist()}
    missing = set(wanted.to_pylist()) - found.keys()
    if missing:
        raise UserError(
            f"{chunks.uri} lacks {len(missing)} passages that the rows were made from",
            "Make the rows again with `lectern generate-qa` and this config.",
        )
    return found


def _complete(artifact: Artifact) -> Artifact:
    if artifact.manifest() is None:
        raise UserError(f"{artifact.uri} is not there or not complete", "Make it with `lectern run` and this config.")
    return artifact
