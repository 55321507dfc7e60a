"""``lectern eval``: the test split answered with and without retrieval, measured, and written down for a person.

One Ray task holds the model and decodes many answers together. Questions are asked in one fixed order and no file
carries a time, so the same inputs give the same bytes; speed is told in the outcome only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.model_copies import ModelCopies
from jobs.predictions import Predictor
from jobs.progress import Counter
from jobs.ray_session import on_cluster
from jobs.scratch import local_scratch
from jobs.stages import StageContext, StageOutcome
from qa_core.artifacts import Artifact
from qa_core.config import SERVED, EvalSettings, LecternConfig
from qa_core.errors import UserError
from qa_core.schemas import PREDICTIONS, Passage

Row = dict[str, Any]

_HEADLINES = ("rougeL", "bleu", "f1")


def run(context: StageContext) -> StageOutcome:
    """Answer, measure and report in one task with the resources of ``eval.compute``."""
    config, inputs = context.config, dict(context.inputs)
    models = 1 + len(config.eval.compare)
    total = _num_questions(inputs["qa"], config.eval) * len(config.eval.modes) * models
    with context.progress.track("answers", total) as counter:
        metrics, table = on_cluster(
            _evaluate, config, inputs, context.outputs["eval"], context.scratch, counter,
            num_cpus=config.eval.compute.num_cpus, num_gpus=config.eval.compute.num_gpus,
        )  # fmt: skip
    return StageOutcome(num_rows={"eval": total}, rejected={}, metrics=metrics, table=table)


def _num_questions(qa: Artifact, settings: EvalSettings) -> int:
    splits = qa.read_table(columns=["split"])["split"].to_pylist()
    if not splits.count("test"):
        raise UserError(f"{qa.uri} has no test rows.", "Add papers, or raise generate_qa.splits.test.")
    return min(splits.count("test"), settings.max_rows or len(splits))


def _evaluate(
    config: LecternConfig, inputs: dict[str, Artifact], output: Artifact, scratch: str, counter: Counter
) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    """Write the artifact; returns the headline figures with the speed, and what each part adds."""
    from qa_core.evaluation.report import write_report
    from qa_core.evaluation.summary import summarise

    predictor = Predictor(config, inputs, counter)
    predictions: list[Row] = []
    with local_scratch(scratch) as folder:
        copies = ModelCopies(inputs, config.convert, folder)
        for model in (SERVED, *config.eval.compare):
            file = copies.served_or_copy(model)
            answered, seconds = predictor.predict(file)
            predictions += [{"model": model, **row} for row in answered]
            if model == SERVED:
                speed = sum(row["completion_tokens"] for row in answered) / seconds
    summary = summarise(predictions, config.eval, config.retrieval.top_k, config.run.seed)
    with output.staging() as folder:
        pq.write_table(pa.Table.from_pylist(predictions, schema=PREDICTIONS), folder / "predictions.parquet")
        (folder / "metrics.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        write_report(summary, predictions, _passages(inputs["chunks"], predictions), folder)
    return {**_headlines(summary), "tokens_per_second": round(speed, 1)}, _added(summary)


def _passages(chunks: Artifact, predictions: Sequence[Row]) -> dict[str, Passage]:
    """The retrieved chunks by id."""
    wanted = {chunk_id for row in predictions for chunk_id in row["retrieved_chunk_ids"]}
    rows = (row for row in chunks.read_table().to_pylist() if row["chunk_id"] in wanted)
    return {row["chunk_id"]: Passage.from_row(row) for row in rows}


def _headlines(summary: dict[str, Any]) -> dict[str, Any]:
    figures = {
        f"{name}_{mode}": summary["overall"][mode][name]["value"] for name in _HEADLINES for mode in summary["modes"]
    }
    if "retrieval" in summary:
        recall = f"recall@{summary['top_k']}"
        figures[recall] = summary["retrieval"][recall]["value"]
    return figures


def _added(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What tuning, 4 bits and retrieval add to the served model's F1, in points, with the interval over papers."""
    rows = []
    for part in summary.get("parts", ()):
        if part["with"] == {"model": SERVED, "mode": "rag"}:
            verb, f1 = "add" if part["part"] == "4 bits" else "adds", part["f1"]
            interval = f"{summary['confidence']:.0%} interval {_points(f1['low'])} to {_points(f1['high'])}"
            rows.append((f"{part['part']} {verb}", _points(f1["value"]), f"F1 points  {interval}"))
    return rows


def _points(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:+.1f}"
