"""BLEU over a corpus, and what each row adds to it, on ``sacrebleu``."""

from typing import Any

import datasets
import evaluate
from sacrebleu.metrics import BLEU

_CITATION = """@inproceedings{post-2018-call,
  title = "A Call for Clarity in Reporting {BLEU} Scores", author = "Post, Matt",
  booktitle = "Proceedings of the Third Conference on Machine Translation", year = "2018", pages = "186--191",
  url = "https://aclanthology.org/W18-6319"}"""


class Bleu(evaluate.Metric):
    """Corpus BLEU-4 from 0 to 1 (tokenizer 13a, exponential smoothing), with the statistics of every row.

    BLEU is no mean over rows. The statistics add up instead: the sum over any set of rows gives the BLEU of that set.
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Modified n-gram precision with brevity penalty.",
            citation=_CITATION,
            inputs_description=(
                "predictions: list of str; references: list of str. Returns bleu, signature, and statistics: for each "
                "row the prediction's length, the reference's length, 4 counts of matched and 4 of all n-grams."
            ),
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
            reference_urls=["https://github.com/mjpost/sacrebleu"],
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, Any]:
        bleu = BLEU(effective_order=True)
        rows = [bleu.sentence_score(text, [target]) for text, target in zip(predictions, references, strict=True)]
        corpus = BLEU()
        score = corpus.corpus_score(predictions, [references]).score / 100
        statistics = [[row.sys_len, row.ref_len, *row.counts, *row.totals] for row in rows]
        return {"bleu": score, "signature": str(corpus.get_signature()), "statistics": statistics}
