from __future__ import annotations

import numpy as np
import pytest

from qa_core.config import GenerationSettings
from qa_core.generation.sampling import Sampler, SamplingParams

LOGITS = np.log(np.array([0.1, 0.4, 0.05, 0.3, 0.15], np.float32))


def drawn(count: int = 4000, **options: float) -> dict[int, float]:
    sampler = Sampler(SamplingParams(max_tokens=1, **options))  # type: ignore[arg-type]
    tokens, counts = np.unique([sampler.choose(LOGITS) for _ in range(count)], return_counts=True)
    return dict(zip(tokens.tolist(), (counts / count).tolist(), strict=True))


def test_temperature_zero_takes_the_most_probable_token() -> None:
    assert drawn(10, temperature=0.0) == {1: 1.0}


def test_equal_logits_go_to_the_lowest_id() -> None:
    assert Sampler(SamplingParams(max_tokens=1)).choose(np.zeros(5, np.float32)) == 0


def test_temperature_one_draws_from_the_distribution() -> None:
    shares = drawn(temperature=1.0)
    assert shares == pytest.approx(dict(enumerate(np.exp(LOGITS).tolist())), abs=0.03)


def test_top_k_keeps_the_k_most_probable() -> None:
    assert drawn(temperature=1.0, top_k=2).keys() == {1, 3}


def test_top_p_keeps_the_smallest_set_that_reaches_p() -> None:
    assert drawn(temperature=1.0, top_p=0.6).keys() == {1, 3}
    assert drawn(temperature=1.0, top_p=0.75).keys() == {1, 3, 4}
    assert drawn(temperature=1.0, top_p=0.01).keys() == {1}


def test_a_tiny_temperature_is_greedy() -> None:
    assert drawn(100, temperature=1e-6) == {1: 1.0}


@pytest.mark.parametrize(
    "options",
    [
        {"max_tokens": 0},
        {"max_tokens": 1, "temperature": -0.1},
        {"max_tokens": 1, "temperature": float("nan")},
        {"max_tokens": 1, "top_p": 0.0},
        {"max_tokens": 1, "top_k": -1},
        {"max_tokens": 1, "no_repeat_ngram_size": -1},
        {"max_tokens": 1, "stop": ("",)},
    ],
)
def test_impossible_parameters_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        SamplingParams(**options)  # type: ignore[arg-type]


def test_min_p_drops_what_is_much_less_probable_than_the_best() -> None:
    assert drawn(temperature=1.0, min_p=0.5).keys() == {1, 3}
    assert drawn(temperature=1.0, min_p=0.0).keys() == {0, 1, 2, 3, 4}


def test_a_bias_makes_a_token_sure_or_impossible_and_leaves_the_logits_alone() -> None:
    before = LOGITS.copy()
    sampler = Sampler(SamplingParams(max_tokens=1, logit_bias={2: 100.0}))
    assert sampler.choose(LOGITS) == 2
    sampler = Sampler(SamplingParams(max_tokens=1, logit_bias={1: -100.0}))
    assert sampler.choose(LOGITS) == 3
    assert (before == LOGITS).all()


def test_penalties_are_taken_from_what_was_said() -> None:
    presence = Sampler(SamplingParams(max_tokens=1, presence_penalty=3.0))
    assert [presence.choose(LOGITS) for _ in range(5)] == [1, 3, 4, 0, 2]
    # log 0.4 - log 0.3 is 0.29: each time a token was said costs more than that.
    frequency = Sampler(SamplingParams(max_tokens=1, frequency_penalty=0.3))
    assert [frequency.choose(LOGITS) for _ in range(4)] == [1, 3, 1, 3]


def said(count: int, **options: object) -> list[int]:
    """The tokens of a model that would say 1 for ever."""
    sampler = Sampler(SamplingParams(max_tokens=count, **options))  # type: ignore[arg-type]
    return [sampler.choose(LOGITS) for _ in range(count)]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_run_of_tokens_is_said_twice(size: int) -> None:
    tokens = said(5 if size == 1 else 10, no_repeat_ngram_size=size)
    runs = list(zip(*(tokens[start:] for start in range(size)), strict=False))
    assert len(runs) == len(set(runs))
    assert said(2, no_repeat_ngram_size=size) == ([1, 3] if size == 1 else [1, 1])


def test_json_may_repeat_its_keys_and_without_a_limit_anything_may() -> None:
    assert said(9) == [1] * 9
    assert said(9, no_repeat_ngram_size=2, json_schema="{}") == [1] * 9


def test_a_repeat_is_ruled_out_before_a_token_is_drawn_at_random() -> None:
    sampler = Sampler(SamplingParams(max_tokens=9, temperature=1.0, no_repeat_ngram_size=1))
    assert sorted(sampler.choose(LOGITS) for _ in range(5)) == [0, 1, 2, 3, 4]


def test_without_a_request_the_config_says_how_answers_are_drawn() -> None:
    settings = GenerationSettings(max_tokens=7, temperature=0.5, no_repeat_ngram_size=4)
    assert SamplingParams.of(settings, 3) == SamplingParams(7, 0.5, no_repeat_ngram_size=4, seed=3)
