from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from qa_core.generation.llama import LlamaModel
from qa_core.quantization.divergence import compare_files


@pytest.mark.parametrize("length", [2, 64, 65, 66])
def test_every_position_with_a_next_token_counts_whatever_the_length_of_the_row(tiny_gguf: Path, length: int) -> None:
    with closing(LlamaModel(tiny_gguf, 0)) as model:
        row = (model.tokenize("The gradient falls by a third. ") * length)[:length]
        comparison = compare_files(model, model, [row], n_threads=1)
    assert comparison.num_tokens == length - 1
    assert comparison.mean_kld == 0
    assert comparison.same_top == 1
