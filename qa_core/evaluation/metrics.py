"""How close answers are to their references, how often retrieval finds the gold chunk, and what answers cite.

ROUGE and BLEU come from ``evaluate``'s local modules in ``modules/``: no hub is asked and no cache is left behind.
"""

from __future__ import annotations

import re
import string
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import evaluate
import numpy as np
from sacrebleu.metrics import BLEU

from qa_core.evaluation.statistics import Array, RowStatistics, mean_of
from qa_core.terms import normalised_tokens, technical_terms

_MODULES = Path(__file__).parent / "modules"
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@cache
def metric_modules() -> dict[str, evaluate.EvaluationModule]:
    """``rouge`` and ``bleu`` of ``modules/``.

    ``evaluate`` copies a module to its cache before importing it. The copies are needed for the import only, so they go
    to a folder that is gone afterwards: a read-only or missing home is no obstacle and nothing is left on the disk.
    Both load in one go, because their common parent package is bound to the first folder.
    """
    kept = evaluate.config.HF_MODULES_CACHE
    with tempfile.TemporaryDirectory(prefix="lectern-metrics-") as folder:
        evaluate.config.HF_MODULES_CACHE = Path(folder)
        try:
            return {
                name: evaluate.load(str(_MODULES / name), keep_in_memory=True, cache_dir=folder)
                for name in ("rouge", "bleu")
            }
        finally:
            evaluate.config.HF_MODULES_CACHE = kept


@dataclass(frozen=True)
class TextScores:
    """Scores of ``n`` answers against their references."""

    rows: dict[str, Array]
    """Metric name to ``[n]`` values from 0 to 1; NaN where a metric has nothing to judge."""
    statistics: dict[str, RowStatistics]
    """The same metrics and ``bleu``, ready for means and intervals."""
    bleu_signature: str


def score_texts(predictions: Sequence[str], references: Sequence[str]) -> TextScores:
    """rouge1, rouge2, rougeL, exact_match, f1, term_recall for each row, and bleu for the corpus."""
    pairs = list(zip(predictions, references, strict=True))
    if not pairs:
        raise ValueError("no answers to score")
    inputs = {"predictions": list(predictions), "references": list(references)}
    columns = {
        name: np.asarray(values, dtype=np.float64)
        for name, values in metric_modules()["rouge"].compute(**inputs).items()
    }
    for name, metric in (("exact_match", exact_match), ("f1", token_f1), ("term_recall", term_recall)):
        columns[name] = np.array([metric(prediction, reference) for prediction, reference in pairs])
    bleu = metric_modules()["bleu"].compute(**inputs)
    statistics = {name: mean_of(values) for name, values in columns.items()}
    statistics["bleu"] = RowStatistics(np.asarray(bleu["statistics"], dtype=np.float64), corpus_bleu)
    return TextScores(columns, statistics, bleu["signature"])


def corpus_bleu(sums: Array) -> Array:
    """BLEU from 0 to 1 for each row of summed statistics ``[m, 10]`` (lengths, matched and all n-grams)."""
    return np.array([_bleu(row.astype(int).tolist()) for row in sums])


def _bleu(row: list[int]) -> float:
    prediction_length, reference_length, *counts = row
    if reference_length == 0:
        return float("nan")
    return (
        BLEU.compute_bleu(counts[:4], counts[4:], prediction_length, reference_length, smooth_method="exp").score / 100
    )


def normalise_answer(text: str) -> str:
    """Lower case without punctuation, articles and extra spaces.

    The normalisation of SQuAD's own script (P. Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension
    of Text", 2016).
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, reference: str) -> float:
    """1 when both are equal after :func:`normalise_answer`, else 0."""
    return float(normalise_answer(prediction) == normalise_answer(reference))


def token_f1(prediction: str, reference: str) -> float:
    """Harmonic mean of precision and recall of the words, counted with repetition (SQuAD, 2016)."""
    predicted, expected = normalise_answer(prediction).split(), normalise_answer(reference).split()
    if not predicted or not expected:
        return float(predicted == expected)
    shared = (Counter(predicted) & Counter(expected)).total()
    return 2 * shared / (len(predicted) + len(expected))


def term_recall(prediction: str, reference: str) -> float:
    """Technical accuracy: share of the reference's distinct technical terms and numbers that the prediction has.

    Terms are those of :func:`qa_core.terms.technical_terms`: ``1,000`` and ``1000`` are one number, ``GPU`` and ``gpu``
    one term. NaN when the reference has none. A recall: terms that the prediction makes up are not punished here.
    """
    expected = technical_terms(reference)
    if not expected:
        return float("nan")
    # The prediction may write a term in lower case, where it no longer looks technical; so all its words count.
    return len(expected & normalised_tokens(prediction)) / len(expected)


def recall_at(k: int, retrieved: Sequence[str], gold: Sequence[str]) -> float:
    """Share of the gold chunks among the first ``k`` retrieved; NaN without gold chunks."""
    return len(set(gold) & set(retrieved[:k])) / len(set(gold)) if gold else float("nan")


def reciprocal_rank(retrieved: Sequence[str], gold: Sequence[str]) -> float:
    """1 / rank of the first gold chunk, 0 when none was retrieved; NaN without gold chunks."""
    if not gold:
        return float("nan")
    return next((1 / rank for rank, chunk_id in enumerate(retrieved, start=1) if chunk_id in set(gold)), 0.0)


def cites_gold(cited: Sequence[int], gold: Sequence[int]) -> float:
    """1 when one of the passage numbers that the answer marks is among the ``gold`` ones, else 0."""
    return float(not set(gold).isdisjoint(cited))
