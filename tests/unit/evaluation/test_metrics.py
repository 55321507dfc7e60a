from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qa_core.evaluation.metrics import (
    cites_gold,
    corpus_bleu,
    exact_match,
    metric_modules,
    normalise_answer,
    recall_at,
    reciprocal_rank,
    score_texts,
    term_recall,
    token_f1,
)

ROOT = Path(__file__).parents[3]


def test_rouge_has_the_values_counted_by_hand() -> None:
    # 3 of 3 and 3 of 4 words: F = 2 * 1 * 0.75 / 1.75; 2 of 2 and 2 of 3 pairs: F = 2 * 1 * (2/3) / (5/3)
    rows = score_texts(["the cat sat", "sat the cat"], ["the cat sat down", "the cat sat down"]).rows
    assert rows["rouge1"] == pytest.approx([6 / 7, 6 / 7])
    assert rows["rouge2"] == pytest.approx([4 / 5, 2 / 5])
    # In the second row the longest common subsequence is "the cat": 2 of 3 and 2 of 4.
    assert rows["rougeL"] == pytest.approx([6 / 7, 4 / 7])


def test_bleu_has_the_value_counted_by_hand() -> None:
    # "the cat sat on the mat" against "the cat sat on a mat": matched 5/6, 3/5, 2/4, 1/3 n-grams, equal lengths.
    scores = score_texts(["the cat sat on the mat"], ["the cat sat on a mat"])
    expected = (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    assert corpus_bleu(scores.statistics["bleu"].rows) == pytest.approx([expected])


def test_bleu_of_a_corpus_is_the_bleu_of_the_summed_rows() -> None:
    predictions = ["the cat sat on the mat", "a dog", "", "two nodes vote for one leader"]
    references = ["the cat sat on a mat", "a big dog barked", "nothing", "two nodes vote for a new leader"]
    statistics = score_texts(predictions, references).statistics["bleu"]
    whole = metric_modules()["bleu"].compute(predictions=predictions, references=references)["bleu"]
    assert statistics.finish(statistics.rows.sum(axis=0, keepdims=True)) == pytest.approx([whole])


def test_answers_are_normalised_as_in_squad() -> None:
    assert normalise_answer("The  Quorum, a majority!") == "quorum majority"
    assert exact_match("A quorum.", "the Quorum") == 1.0
    assert exact_match("two quorums", "quorum") == 0.0


def test_token_f1_counts_repeated_words_once_each() -> None:
    # shared: "cat" once; 2 of 2+2 tokens after "the" is dropped
    assert token_f1("the cat cat", "cat sat") == pytest.approx(2 * 1 / 4)
    assert token_f1("", "cat") == 0.0
    assert token_f1("the", "a") == 1.0


def test_term_recall_looks_at_numbers_and_technical_terms_only() -> None:
    reference = "The H100 moves 1,000 GB in 2.50 s with AllReduce."  # H100, 1000, GB, 2.5, AllReduce
    assert term_recall("allreduce: 1000 in 2.5", reference) == pytest.approx(3 / 5)
    assert term_recall(reference, reference) == 1.0
    assert math.isnan(term_recall("anything", "nothing technical here"))


def test_retrieval_figures_have_the_values_counted_by_hand() -> None:
    assert recall_at(1, ["a", "b", "c"], ["b", "x"]) == 0.0
    assert recall_at(2, ["a", "b", "c"], ["b", "x"]) == 0.5
    assert reciprocal_rank(["a", "b", "c"], ["c", "b"]) == 0.5
    assert reciprocal_rank(["a"], ["b"]) == 0.0
    assert math.isnan(recall_at(3, ["a"], []))


def test_an_answer_cites_gold_only_when_one_of_its_marks_points_there() -> None:
    assert cites_gold([1, 2], [2]) == 1.0
    assert cites_gold([1], [2, 3]) == 0.0
    assert cites_gold([], [2]) == 0.0
    assert cites_gold([1], []) == 0.0


def test_empty_answers_score_zero_and_break_nothing() -> None:
    scores = score_texts(["", ""], ["a leader is elected", "a log is copied"])
    assert all(np.nansum(values) == 0 for values in scores.rows.values())


def test_metrics_load_without_home_hub_or_anything_left_on_the_disk(tmp_path: Path) -> None:
    """HOME is a file, so nothing can be written below it; sockets are refused."""
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.write_text("not a folder")
    scratch.mkdir()
    program = (
        "import socket\n"
        "def refuse(*arguments): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from qa_core.evaluation.metrics import score_texts\n"
        "print(score_texts(['the cat sat'], ['the cat sat down']).rows['rouge2'])\n"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[0.8]"
    assert not list(scratch.glob("lectern-*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "scratch"]
