"""Greedy answers: batched ones are those of each prompt alone, and F1 compares them with what was wanted."""

from __future__ import annotations

from typing import Any

import pytest

from qa_core.config import FinetuneSettings, LoraSettings, TrainCompute
from qa_core.training.answers import answer_f1, greedy_answers, last_turn
from qa_core.training.attention import ROW_ATTENTION
from qa_core.training.qlora import load_quantized, load_tokenizer, with_adapter
from qa_core.training.sft import TrainingExample


@pytest.fixture(scope="module")
def model(base: str) -> Any:
    settings = FinetuneSettings(
        lora=LoraSettings(r=4), gradient_checkpointing=False, compute=TrainCompute(use_gpu=False)
    )
    return with_adapter(load_quantized(base, settings), settings, 1)


def test_a_batch_of_prompts_is_answered_like_each_alone_and_training_goes_on(
    model: Any, examples: list[TrainingExample]
) -> None:
    model.train()
    prompts = [last_turn(example)[0] for example in examples]
    together = greedy_answers(model, prompts, 6)
    assert together == [greedy_answers(model, [prompt], 6)[0] for prompt in prompts]
    assert all(len(answer) == 6 for answer in together)
    assert model.training
    assert model.get_base_model().config._attn_implementation == ROW_ATTENTION


def test_f1_is_of_the_words_that_were_wanted(model: Any, base: str, examples: list[TrainingExample]) -> None:
    tokenizer = load_tokenizer(base)
    prompts = [last_turn(example)[0] for example in examples]
    answered = greedy_answers(model, prompts, 6)
    exactly = [
        TrainingExample(prompt + answer, [-100] * len(prompt) + answer)
        for prompt, answer in zip(prompts, answered, strict=True)
    ]
    assert answer_f1(model, tokenizer, exactly, 6) == 1.0
    assert answer_f1(model, tokenizer, examples, 6) < 1.0


def test_the_last_turn_is_cut_at_its_first_learned_token() -> None:
    example = TrainingExample([1, 2, 3, 4, 5, 6], [-100, 2, -100, -100, 5, 6])
    assert last_turn(example) == ([1, 2, 3, 4], [5, 6])
