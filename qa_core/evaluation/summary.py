"""Predictions to the figures of ``metrics.json``, each with its interval; with retrieval against without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qa_core.config import SERVED, EvalSettings
from qa_core.dataset.checks.abstention import abstains
from qa_core.evaluation.components import compare_models
from qa_core.evaluation.metrics import cites_gold, recall_at, reciprocal_rank, score_texts
from qa_core.evaluation.statistics import DocumentBootstrap, RowStatistics, mean_of
from qa_core.generation.chat import strip_citations

Row = Mapping[str, Any]
"""One row of ``PREDICTIONS``."""


def summarise(predictions: Sequence[Row], settings: EvalSettings, top_k: int, seed: int) -> dict[str, Any]:
    """A JSON object: ``overall``, ``difference`` (rag - standalone), ``by_question_type``, ``retrieval`` ..., all of
    the served model; ``models`` and ``parts`` where other copies of it answered too.

    Figures are from 0 to 1, each ``{"value", "low", "high"}``. Every mode answers the same questions in one order.
    """
    by_mode: dict[str, list[Row]] = {
        mode: [row for row in predictions if row["mode"] == mode and row["model"] == SERVED] for mode in settings.modes
    }
    questions = by_mode[settings.modes[0]]
    for rows in by_mode.values():
        if [row["qa_id"] for row in rows] != [row["qa_id"] for row in questions]:
            raise ValueError("modes must answer the same questions in the same order")
    # What an unanswerable question asks for is in no reference: there only abstaining is measured.
    answerable = {mode: [row for row in rows if row["answerable"]] for mode, rows in by_mode.items()}
    scores = {mode: score_texts(*texts(rows)) for mode, rows in answerable.items()}
    bootstrap = _bootstrap(answerable[settings.modes[0]], settings, seed)
    summary: dict[str, Any] = {
        "rows": len(questions),
        "answerable": len(answerable[settings.modes[0]]),
        "documents": len({row["doc_id"] for row in questions}),
        "modes": list(settings.modes),
        "top_k": top_k,
        "confidence": settings.confidence,
        "bootstrap_samples": settings.bootstrap_samples,
        "bleu_signature": scores[settings.modes[0]].bleu_signature,
        "overall": {mode: _intervals(bootstrap, score.statistics) for mode, score in scores.items()},
        "by_question_type": _by_question_type(answerable, settings, seed),
        "cut_off": {mode: sum(row["finish_reason"] == "length" for row in rows) for mode, rows in by_mode.items()},
    }
    if {"rag", "standalone"} <= scores.keys():
        rag, alone = scores["rag"].statistics, scores["standalone"].statistics
        summary["difference"] = {name: bootstrap.difference(rag[name], alone[name]).rounded() for name in rag}
    if "rag" in by_mode:
        summary["retrieval"] = _intervals(bootstrap, _retrieval(answerable["rag"], top_k))
        summary["citations"] = _intervals(bootstrap, _citations(answerable["rag"]))
        summary["abstention"] = _intervals(_bootstrap(questions, settings, seed), _abstention(by_mode["rag"]))
    if settings.compare:
        summary |= compare_models(predictions, settings, seed)
    return summary


def texts(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Predictions without their citation marks, and references."""
    return [strip_citations(row["prediction"]) for row in rows], [row["reference"] for row in rows]


def _bootstrap(rows: Sequence[Row], settings: EvalSettings, seed: int) -> DocumentBootstrap:
    return DocumentBootstrap(
        [row["doc_id"] for row in rows], samples=settings.bootstrap_samples, confidence=settings.confidence, seed=seed
    )


def _by_question_type(by_mode: Mapping[str, list[Row]], settings: EvalSettings, seed: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for question_type in sorted({row["question_type"] for rows in by_mode.values() for row in rows}):
        chosen = {m: [row for row in rows if row["question_type"] == question_type] for m, rows in by_mode.items()}
        first = chosen[settings.modes[0]]
        bootstrap = _bootstrap(first, settings, seed)
        figures = {mode: _intervals(bootstrap, score_texts(*texts(rows)).statistics) for mode, rows in chosen.items()}
        result[question_type] = {"rows": len(first), "documents": len({row["doc_id"] for row in first}), **figures}
    return result


def _retrieval(rows: Sequence[Row], top_k: int) -> dict[str, RowStatistics]:
    found = [(row["retrieved_chunk_ids"], row["gold_chunk_ids"]) for row in rows]
    figures = {f"recall@{k}": mean_of([recall_at(k, *pair) for pair in found]) for k in range(1, top_k + 1)}
    return {**figures, "mrr": mean_of([reciprocal_rank(*pair) for pair in found])}


def _citations(rows: Sequence[Row]) -> dict[str, RowStatistics]:
    return {
        "cites_any": mean_of([float(bool(row["cited"])) for row in rows]),
        "cites_gold": mean_of([cites_gold(row["cited"], row["gold_numbers"]) for row in rows]),
    }


def _abstention(rows: Sequence[Row]) -> dict[str, RowStatistics]:
    """Of unanswerable questions the share that is declined, and of answerable ones the share that is so by mistake."""
    declined = [(row["answerable"], float(abstains(row["prediction"]))) for row in rows]
    return {
        "abstains_unanswerable": mean_of([float("nan") if possible else value for possible, value in declined]),
        "abstains_answerable": mean_of([value if possible else float("nan") for possible, value in declined]),
    }


def _intervals(bootstrap: DocumentBootstrap, figures: Mapping[str, RowStatistics]) -> dict[str, Any]:
    return {name: bootstrap.interval(statistics).rounded() for name, statistics in figures.items()}
