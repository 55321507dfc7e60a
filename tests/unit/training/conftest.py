"""A Qwen2 model of one layer, and rows for it."""

from __future__ import annotations

import pytest
import torch

from qa_core.config import ScratchModel
from qa_core.training.base_model import build_scratch_model
from qa_core.training.qlora import load_tokenizer
from qa_core.training.sft import TrainingExample, encode


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("base")
    settings = ScratchModel(
        source="scratch", vocab_size=512, intermediate_size=256, num_hidden_layers=1, pretraining_steps=0
    )
    build_scratch_model(["Raft elects a leader by majority. " * 5], settings, 1, folder)
    return str(folder)


@pytest.fixture(scope="session")
def examples(base: str) -> list[TrainingExample]:
    tokenizer = load_tokenizer(base)
    return [
        encode(
            tokenizer,
            [
                {"role": "user", "content": "Who leads? " * (1 + number % 3)},
                {"role": "assistant", "content": "A leader. " * (1 + number)},
            ],
            f"row-{number}",
        )
        for number in range(6)
    ]
