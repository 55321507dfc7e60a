"""Which evaluation counts, and when looking for a better one ends."""

from __future__ import annotations

from qa_core.training.best import best_step, is_finished


def history(*losses: float) -> list[dict[str, float]]:
    return [{"step": 10 * number, "eval_loss": loss} for number, loss in enumerate(losses, start=1)]


def test_the_best_step_is_the_earliest_of_the_lowest() -> None:
    assert best_step(history(3.0, 2.0, 2.0, 2.5)) == 20
    assert best_step([{"step": 10, "loss": 1.0}]) == 0


def test_patience_counts_evaluations_since_the_best() -> None:
    assert not is_finished(history(3.0, 2.0, 2.1), 2)
    assert is_finished(history(3.0, 2.0, 2.1, 2.0), 2)
    assert not is_finished(history(3.0, 2.0, 2.1, 2.0, 1.9), 2)
    assert not is_finished(history(3.0, 4.0, 5.0), None)
