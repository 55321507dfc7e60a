from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qa_core.generation.llama import LlamaModel
from qa_core.generation.llama_context import LlamaContext


def test_a_wanted_row_has_the_logits_that_llama_cpp_has_for_it(tiny_gguf: Path) -> None:
    model = LlamaModel(tiny_gguf)
    context = LlamaContext(model, n_ctx=64, n_seq_max=3, n_batch=16, n_threads=1)
    tokens = model.tokenize("The attention layer compares")[:3]
    wanted = [False, True, False, False, True, True]
    context.decode(tokens + tokens, [0, 1, 2, 0, 1, 2], [0, 0, 0, 2, 2, 2], wanted)
    for row in (1, 4, 5):
        theirs = context._llama.llama_get_logits_ith(context._pointer, row)
        assert (context.logits(row) == np.ctypeslib.as_array(theirs, (model.n_vocab,))).all()
    assert (context.logits(1) != context.logits(5)).any()
    with pytest.raises(ValueError, match="row 3 of the last batch has no logits"):
        context.logits(3)
    context.decode(tokens[:1], [3], [0], [False])
    with pytest.raises(ValueError, match="row 1 of the last batch has no logits"):
        context.logits(1)
    context.close()
    model.close()
