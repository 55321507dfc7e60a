from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from qa_core.generation.llama import LlamaModel
from qa_core.quantization.divergence import compare_files, term_tokens


@pytest.mark.parametrize("length", [2, 64, 65, 66])
def test_every_position_with_a_next_token_counts_whatever_the_length_of_the_row(tiny_gguf: Path, length: int) -> None:
    with closing(LlamaModel(tiny_gguf, 0)) as model:
        row = (model.tokenize("The gradient falls by a third. ") * length)[:length]
        comparison = compare_files(model, model, [row], n_threads=1)
    assert comparison.num_tokens == length - 1
    assert comparison.mean_kld == 0
    assert comparison.same_top == 1


def test_the_tokens_of_technical_terms_are_told_from_the_others(tiny_gguf: Path) -> None:
    with closing(LlamaModel(tiny_gguf, 0)) as model:
        row = model.tokenize("The GPU—a función—reads Q4_K_M blocks of 256 weights, 東京 too.")
        terms = term_tokens(model, row)
        said = b"".join(model.piece(token) for token, is_term in zip(row, terms, strict=True) if is_term).decode()
    # A token that begins before its term, with the space, counts whole.
    assert said.replace(" ", "") == "GPUQ4_K_M256"
