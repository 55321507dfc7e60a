"""Fixtures that several rooms share: one real model, small enough to build for every test run."""

from __future__ import annotations

from pathlib import Path

import pytest

from qa_core.config import ScratchModel

TEXTS = [
    "The attention layer compares each query with every key, so its cost grows with the square of the length.",
    "We train the encoder for 3,200 steps with a batch of 64 and a learning rate of 2e-4; the loss falls to 1.7.",
    "Table 2 shows that pruning 40% of the heads costs 0.3 points of accuracy, while the latency drops by a third.",
    "def score(query, key):\n    return (query @ key.T) / math.sqrt(key.shape[-1])\n",
    "The gradient is $\\nabla_\\theta L(\\theta) = \\frac{1}{n} \\sum_i \\nabla_\\theta \\ell(x_i, y_i)$, equation 3.",
    "Quantised weights are stored in blocks of 256 values that share a scale and a minimum.",
    "Retrieval returns three passages; answers cite them as [1], [2] and [3].",
    "Naïve Bayes was the baseline of Müller et al.; 東京大学 reported 91.2 % on the same split. 🙂",
]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder with a two-layer Qwen2 and a tokenizer, trained for a moment on a few sentences."""
    from qa_core.training.base_model import build_scratch_model

    settings = ScratchModel(
        source="scratch",
        vocab_size=1024,
        num_hidden_layers=2,
        pretraining_steps=30,
        pretraining_batch_size=4,
        pretraining_length=64,
    )
    out = tmp_path_factory.mktemp("tiny-model")
    build_scratch_model(TEXTS * 20, settings, seed=7, out=out)
    return out


@pytest.fixture(scope="session")
def tiny_gguf(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``tiny_model`` as an F16 GGUF file."""
    from qa_core.quantization.convert import write_gguf

    out = tmp_path_factory.mktemp("tiny-gguf") / "Lectern-1.7M-Test-v1.0-F16.gguf"
    write_gguf(tiny_model, out)
    return out
