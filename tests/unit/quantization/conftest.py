from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.small_run import write_adapter


@pytest.fixture(scope="session")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEFT folder whose update is large enough to change every answer."""
    return write_adapter(tiny_model, tmp_path_factory.mktemp("adapter"), strength=0.05)


@pytest.fixture(scope="session")
def token_rows(tiny_model: Path) -> Sequence[Sequence[int]]:
    """Eight sequences of different lengths."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    texts = [
        "The attention layer compares each query with every key of the sequence.",
        "We train the encoder for 3,200 steps.",
        "Table 2 shows that pruning 40% of the heads costs 0.3 points of accuracy, and the latency drops by a third. "
        * 3,
        "def score(query, key):\n    return query @ key.T\n",
        "Retrieval returns three passages; answers cite them as [1] and [2].",
        "Quantised weights share a scale and a minimum in blocks of 256 values.",
        "The gradient is $\\nabla_\\theta L(\\theta)$ as in equation (3).",
        "Naïve Bayes was the baseline; 東京大学 reported 91.2 %.",
    ]
    return [tokenizer(text)["input_ids"] for text in texts]
