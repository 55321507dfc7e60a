"""The test questions, answered by one model after another."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.progress import Counter
from qa_core.artifacts import Artifact
from qa_core.config import EvalSettings, LecternConfig

if TYPE_CHECKING:
    from qa_core.generation.answer import Answer, Answerer, Mode
    from qa_core.retrieval.retriever import Retriever

Row = dict[str, Any]

_COLUMNS = (
    "qa_id", "doc_id", "chunk_ids", "evidence", "question_type", "question", "answer", "answerable", "split",
)  # fmt: skip


class Predictor:
    """Answers rows of the test split, always in the same order, in every mode of ``eval.modes``."""

    def __init__(self, config: LecternConfig, inputs: dict[str, Artifact], counter: Counter) -> None:
        self._config, self._inputs, self._counter = config, inputs, counter
        self._rows = _test_rows(inputs["qa"], config.eval)
        ids = inputs["chunks"].read_table(["chunk_id", "doc_id"])
        self._papers = dict(zip(ids["chunk_id"].to_pylist(), ids["doc_id"].to_pylist(), strict=True))

    def predict(self, file: Path) -> tuple[list[Row], float]:
        """Rows of ``PREDICTIONS`` but for their ``model``, and the seconds that answering took without loading."""
        from qa_core.generation.answer import Answerer
        from qa_core.generation.engine import Engine, SamplingParams

        config, settings = self._config, self._config.generation
        params = SamplingParams.of(settings, config.run.seed)
        engine = Engine(file, settings)
        try:
            answerer = Answerer(engine, params, config.retrieval, self._retriever)
            started = time.perf_counter()
            predictions = [row for mode in config.eval.modes for row in self._answers(answerer, mode)]
            return predictions, time.perf_counter() - started
        finally:
            engine.close()

    @cached_property
    def _retriever(self) -> Retriever | None:
        from qa_core.retrieval.retriever import Retriever

        if "rag" not in self._config.eval.modes:
            return None
        return Retriever(self._inputs["index"].local(), self._config.index.embedder, self._config.retrieval)

    def _answers(self, answerer: Answerer, mode: Mode) -> Iterator[Row]:
        """Groups are large enough to keep every slot of the engine busy."""
        group = 4 * self._config.generation.n_seq_max
        for start in range(0, len(self._rows), group):
            asked: Sequence[Row] = self._rows[start : start + group]
            answers = answerer.answer_all([row["question"] for row in asked], mode)
            self._counter.advance(len(answers))
            yield from (self._prediction(row, mode, answer) for row, answer in zip(asked, answers, strict=True))

    def _prediction(self, row: Row, mode: Mode, answer: Answer) -> Row:
        from qa_core.evaluation.evidence import gold_numbers

        return {
            "qa_id": row["qa_id"],
            "doc_id": row["doc_id"],
            "mode": mode,
            "question_type": row["question_type"],
            "question": row["question"],
            "answerable": row["answerable"],
            "reference": row["answer"],
            "prediction": answer.text,
            "retrieved_chunk_ids": [passage.chunk_id for passage in answer.retrieved],
            "gold_chunk_ids": row["chunk_ids"],
            "cited": answer.cited,
            "gold_numbers": gold_numbers(row["evidence"], answer.passages, self._papers),
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "finish_reason": answer.finish_reason,
        }


def _test_rows(qa: Artifact, settings: EvalSettings) -> list[Row]:
    """Rows of the test split, taken in turn from the papers, at most ``max_rows``."""
    from qa_core.evaluation.selection import evenly

    rows = [row for row in qa.read_table(columns=list(_COLUMNS)).to_pylist() if row["split"] == "test"]
    return evenly(sorted(rows, key=lambda row: row["qa_id"]), lambda row: row["doc_id"], settings.max_rows)
