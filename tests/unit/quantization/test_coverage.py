from __future__ import annotations

import pyarrow as pa

from qa_core.quantization.coverage import technical_vocabulary, term_coverage

CHUNKS = pa.table(
    {
        "doc_id": ["a", "a", "b", "b"],
        "text": [
            "The GPU runs AllReduce. AllReduce sums gradients over the GPU.",
            "AllReduce needs 256 steps on the GPU.",
            "Q4_K blocks hold 256 weights on the GPU.",
            "The GPU reads Q4_K and \\alpha.",
        ],
    }
)


def test_terms_of_one_paper_are_stronger_than_those_of_all_and_numbers_are_none() -> None:
    # Three of seven, two of five and one of five terms of their papers; GPU is in both papers.
    assert technical_vocabulary(CHUNKS, 10) == ["allreduce", "q4-k", "\\alpha", "gpu"]
    assert technical_vocabulary(CHUNKS, 2) == ["allreduce", "q4-k"]


def test_the_report_counts_what_was_seen_and_names_what_was_missed() -> None:
    coverage = term_coverage(CHUNKS, ["What does AllReduce sum?", "AllReduce sums on every GPU."])
    assert coverage.as_json() == {
        "terms": 4, "share_seen": 0.5, "missed": ["q4-k", "\\alpha"], "seen": {"allreduce": 2, "gpu": 1},
    }  # fmt: skip


def test_a_corpus_without_technical_terms_is_covered_by_nothing() -> None:
    empty = pa.table({"doc_id": ["a"], "text": ["plain words only"]})
    assert term_coverage(empty, ["plain words"]).as_json()["terms"] == 0
