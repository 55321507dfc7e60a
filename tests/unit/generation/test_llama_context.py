from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qa_core.generation.llama import LlamaModel
from qa_core.generation.llama_context import LlamaContext


def test_a_wanted_row_has_the_logits_that_llama_cpp_has_for_it(tiny_gguf: Path) -> None:
    model = LlamaModel(tiny_gguf)
    context = LlamaContext(model, n_ctx=64, n_seq_max=3, n_batch=16, n_threads=1)
    one, two, three, four = model.tokenize("The attention layer compares")[:4]
    # Sequences of different lengths are computed in another order than they are in the batch.
    context.decode([one, two, three, four, three, two], [0, 1, 2, 0, 1, 0], [0, 0, 0, 1, 1, 2], [False] + 5 * [True])
    together = {row: context.logits(row).copy() for row in range(1, 6)}
    for row, logits in together.items():
        theirs = context._llama.llama_get_logits_ith(context._pointer, row)
        assert (logits == np.ctypeslib.as_array(theirs, (model.n_vocab,))).all()
    with pytest.raises(ValueError, match="row 0 of the last batch has no logits"):
        context.logits(0)
    for row, alone in {2: [one, two, three], 4: [four, three], 5: [two]}.items():
        context.clear()
        context.decode(alone, range(len(alone)), [0] * len(alone), [False] * (len(alone) - 1) + [True])
        assert context.logits(len(alone) - 1) == pytest.approx(together[row], abs=0.01)
    context.decode([one], [1], [0], [False])
    with pytest.raises(ValueError, match="row 0 of the last batch has no logits"):
        context.logits(0)
    context.close()
    model.close()
