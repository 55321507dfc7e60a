"""What a sweep may vary is told before its first trial, and decides what it reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobs.corpora import chunking_key, chunkings
from jobs.search_space import check_space, most_steps, trial_config
from jobs.stages import PAPERS, TUNE
from qa_core.config import LecternConfig
from qa_core.config_loader import load_config
from qa_core.errors import UserError

RATE = {"distribution": "loguniform", "low": 1e-5, "high": 1e-3}


def choice(*values: Any) -> dict[str, Any]:
    return {"distribution": "choice", "values": values}


def sweep(space: dict[str, Any]) -> LecternConfig:
    return load_config(["tiny"], [f"tune.search_space={json.dumps(space)}"])


def refused(space: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        check_space(sweep(space))
    return str(caught.value)


def test_values_that_cannot_be_trained_with_are_refused() -> None:
    assert "finetune.lora.r=-1" in refused({"finetune.lora.r": choice(8, -1)})
    assert "finetune.lora.r=14.3" in refused({"finetune.lora.r": {"distribution": "uniform", "low": 4, "high": 32}})
    check_space(sweep({"finetune.learning_rate": RATE, "finetune.lora.r": choice(8, 16)}))


def test_the_length_of_trials_may_be_searched_over() -> None:
    config = sweep({"finetune.max_steps": choice(8, 32, 16)})
    check_space(config)
    assert most_steps(config.tune) == 32
    assert trial_config(config, {"finetune.max_steps": 8}).finetune.max_steps == 8
    alone = sweep({"finetune.learning_rate": RATE})
    assert most_steps(alone.tune) == trial_config(alone, {}).finetune.max_steps == alone.tune.max_steps


def test_values_that_cannot_be_together_are_refused() -> None:
    space = {"retrieval.top_k": choice(3, 8), "retrieval.candidates": choice(6, 12)}
    assert "candidates=6 must be at least top_k=8" in refused(space)
    assert "at most half" in refused({"chunk.max_tokens": choice(64, 128), "chunk.overlap_tokens": choice(0, 48)})


def test_what_a_sweep_does_not_vary_is_refused_with_what_it_does() -> None:
    for key, value in (("chunk.papers", "elsewhere"), ("serve.port", 1), ("generate_qa.min_rows", 1)):
        assert "varies how they are learned (finetune.*)" in refused({key: choice(value)})
    assert "over a range" in refused({"chunk.max_tokens": {"distribution": "uniform", "low": 64, "high": 128}})
    joint = {"retrieval.top_k": choice(2, 4), "chunk.max_tokens": choice(96, 128), "finetune.learning_rate": RATE}
    check_space(sweep(joint | {"generate_qa.context.without_gold": choice(0.1, 0.2)}))


def test_papers_are_cut_once_for_every_combination_of_chunk_settings() -> None:
    space = {
        "chunk.max_tokens": choice(96, 128),
        "chunk.overlap_tokens": choice(0, 24),
        "retrieval.top_k": choice(2, 3),
    }
    found = list(chunkings(sweep(space)))
    assert [(one.chunk.max_tokens, one.chunk.overlap_tokens) for one in found] == [
        (96, 0),
        (96, 24),
        (128, 0),
        (128, 24),
    ]
    assert len({chunking_key(one.chunk) for one in found}) == 4
    assert len(list(chunkings(sweep({"retrieval.top_k": choice(2, 3)})))) == 1


def test_a_sweep_reads_and_is_identified_by_what_its_space_touches() -> None:
    alone = sweep({"finetune.learning_rate": RATE})
    retrieval = sweep({"retrieval.top_k": choice(2, 3)})
    chunks = sweep({"chunk.max_tokens": choice(96, 128)})
    assert TUNE.reads(alone) == ("qa", "base")
    assert TUNE.reads(retrieval) == ("qa", "base", "index", "documents")
    assert TUNE.reads(chunks) == ("qa", "base", "index", "documents", PAPERS)
    assert TUNE.settings_that_count(alone) == ("tune", "finetune")
    assert "retrieval" in TUNE.settings_that_count(retrieval)
    assert "chunk" not in TUNE.settings_that_count(retrieval)
    assert "chunk" in TUNE.settings_that_count(chunks)
