"""ROUGE-1, ROUGE-2 and ROUGE-L per row, on Google's ``rouge_score``."""

import datasets
import evaluate
from rouge_score.rouge_scorer import RougeScorer

_TYPES = ["rouge1", "rouge2", "rougeL"]
_CITATION = """@inproceedings{lin-2004-rouge,
  title = "{ROUGE}: A Package for Automatic Evaluation of Summaries", author = "Lin, Chin-Yew",
  booktitle = "Text Summarization Branches Out", year = "2004", pages = "74--81",
  url = "https://aclanthology.org/W04-1013"}"""


class Rouge(evaluate.Metric):
    """F-measures from 0 to 1 without stemming, the setting of the hub's own ``rouge`` metric."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="F-measure of shared unigrams, bigrams and longest common subsequence with the reference.",
            citation=_CITATION,
            inputs_description="predictions: list of str; references: list of str. Returns one list a ROUGE type.",
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
            reference_urls=["https://github.com/google-research/google-research/tree/master/rouge"],
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, list[float]]:
        scorer = RougeScorer(_TYPES, use_stemmer=False)
        rows = [scorer.score(target, text) for text, target in zip(predictions, references, strict=True)]
        return {name: [row[name].fmeasure for row in rows] for name in _TYPES}
