"""``report.md`` and ``report.html``: what was measured, how sure it is, what it means, and ten answers to look at.

Both pages are made from ``metrics.json`` and the predictions alone and carry no time, so equal inputs give equal bytes.
Every text of a paper or a model is escaped: in HTML by Jinja's autoescape, in Markdown by the filter ``text``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment

from qa_core.config import SERVED
from qa_core.evaluation.metrics import token_f1
from qa_core.evaluation.pages import page_environment
from qa_core.evaluation.selection import evenly
from qa_core.generation.chat import strip_citations
from qa_core.schemas import Passage

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$&!])")
_NUM_SAMPLES = 10
_MIN_DOCUMENTS = 6
"""Fewest papers for a claim. Papers that all lean one way keep zero out of a bootstrap interval, and by chance alone
``n`` of them do so with probability 2 / 2**n: 25 % for three papers, 3 % for six."""

LABELS = {
    "rougeL": "ROUGE-L",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "bleu": "BLEU",
    "f1": "Token F1",
    "exact_match": "Exact match",
    "term_recall": "Technical terms",
    "mrr": "MRR",
    "cites_any": "Answers that cite a passage",
    "cites_gold": "Answers that cite a passage with the evidence",
    "abstains_unanswerable": "Unanswerable questions that are declined",
    "abstains_answerable": "Answerable questions that are declined",
    "standalone": "without retrieval",
    "rag": "with retrieval",
    "base-16bit": "base, 16 bits",
    "base-4bit": "base, 4 bits",
    "tuned-16bit": "tuned, 16 bits",
    "tuned-4bit": "tuned, 4 bits (served)",
}
COMPARED = ("f1", "rougeL", "term_recall", "cites_gold")
"""What models are compared by."""
MEANINGS = {
    "rougeL": "longest word sequence shared with the reference, in order (F-measure)",
    "rouge1": "single words shared with the reference (F-measure)",
    "rouge2": "word pairs shared with the reference (F-measure)",
    "bleu": "word sequences of length 1 to 4 that the reference has too, over the whole test set",
    "f1": "words shared with the reference, after SQuAD's normalisation",
    "exact_match": "answers equal to the reference, after SQuAD's normalisation",
    "term_recall": "numbers and technical terms of the reference that the answer contains",
}


@dataclass(frozen=True)
class SampleAnswer:
    mode: str
    text: str
    cited: Sequence[int]
    f1: float
    cut_off: bool


@dataclass(frozen=True)
class SamplePassage:
    number: int
    passage: Passage
    is_gold: bool
    is_cited: bool


@dataclass(frozen=True)
class Sample:
    """One question with the answers of every mode and the passages that retrieval found."""

    qa_id: str
    question_type: str
    question: str
    reference: str
    answers: Sequence[SampleAnswer]
    passages: Sequence[SamplePassage]


def write_report(
    metrics: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]], passages: Mapping[str, Passage], out: Path
) -> None:
    """Write both pages into ``out``. ``passages`` holds at least every retrieved chunk id of ``predictions``."""
    names = [name for name in MEANINGS if name in metrics["overall"][metrics["modes"][0]]]
    content = {
        "metrics": metrics,
        "names": names,
        "labels": LABELS,
        "meanings": MEANINGS,
        "verdict": verdict(metrics),
        "few_documents": metrics["documents"] < _MIN_DOCUMENTS,
        "compared": COMPARED,
        "samples": samples([row for row in predictions if row["model"] == SERVED], passages),
    }
    for page in ("report.html", "report.md"):
        text = _environment().get_template(f"{page}.j2").render(content)
        (out / page).write_text(text, encoding="utf-8")


def _environment() -> Environment:
    environment = page_environment()
    environment.filters.update(points=points, bounds=bounds, text=escape_markdown, label=lambda n: LABELS.get(n, n))
    return environment


def points(value: float | None, *, signed: bool = False) -> str:
    """A figure from 0 to 1 in points of 100."""
    if value is None:
        return "–"
    rounded = round(100 * value, 1) + 0.0  # adding 0 turns -0.0 into 0.0
    return f"{rounded:+.1f}" if signed else f"{rounded:.1f}"


def bounds(figure: Mapping[str, float | None], *, signed: bool = False) -> str:
    """``low to high``, or why there is no interval."""
    if figure["value"] is None:
        return "not measured"
    if figure["low"] is None:
        return "one paper only"
    return f"{points(figure['low'], signed=signed)} to {points(figure['high'], signed=signed)}"


def escape_markdown(text: str) -> str:
    """``text`` on one line, with nothing left that Markdown or HTML would act on."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def verdict(metrics: Mapping[str, Any]) -> str:
    """The first sentence a reader needs, from the ROUGE-L difference; it claims no more than the interval allows."""
    difference = metrics.get("difference", {}).get("rougeL")
    if difference is None:
        return "Only one mode was measured, so there is nothing to compare it with."
    size = f"{abs(100 * difference['value']):.1f} ROUGE-L points"
    if metrics["documents"] < _MIN_DOCUMENTS:
        number = "one paper" if metrics["documents"] == 1 else f"{metrics['documents']} papers"
        gain = f"{points(difference['value'], signed=True)} ROUGE-L points"
        return f"With retrieval {gain} here, and {number} cannot speak for others."
    if difference["low"] > 0:
        return f"Retrieval helps: answers gain {size}, and the interval lies above zero."
    if difference["high"] < 0:
        return f"Retrieval hurts: answers lose {size}, and the interval lies below zero."
    return f"The difference of {size} may be chance: its interval contains zero."


def samples(predictions: Sequence[Mapping[str, Any]], passages: Mapping[str, Passage]) -> list[Sample]:
    """Ten questions, taken in turn from the question types. IDs are content hashes, so their order is no choice."""
    by_question: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(predictions, key=lambda row: row["qa_id"]):
        by_question.setdefault(row["qa_id"], []).append(row)
    chosen = evenly(by_question.values(), lambda rows: rows[0]["question_type"], _NUM_SAMPLES)
    return [_sample(rows, passages) for rows in chosen]


def _sample(rows: Sequence[Mapping[str, Any]], passages: Mapping[str, Passage]) -> Sample:
    first = rows[0]
    retrieved: Sequence[str] = next((row["retrieved_chunk_ids"] for row in rows if row["retrieved_chunk_ids"]), [])
    cited, gold = ({number for row in rows for number in row[name]} for name in ("cited", "gold_numbers"))
    return Sample(
        qa_id=first["qa_id"],
        question_type=first["question_type"],
        question=first["question"],
        reference=first["reference"],
        answers=[_answer(row) for row in rows],
        passages=[
            SamplePassage(number, passages[chunk_id], number in gold, number in cited)
            for number, chunk_id in enumerate(retrieved, start=1)
        ],
    )


def _answer(row: Mapping[str, Any]) -> SampleAnswer:
    score = token_f1(strip_citations(row["prediction"]), row["reference"])
    return SampleAnswer(row["mode"], row["prediction"], row["cited"], score, row["finish_reason"] == "length")
