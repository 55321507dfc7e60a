"""Token sequences that a quantised model is calibrated and checked on: conversations as they are trained and served."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from qa_core.errors import UserError
from qa_core.quantization.reference import load_tokenizer
from qa_core.training.sft import SftSettings, build_examples

_NO_LIMIT = 2**31
_CONTEXT_FRACTION = 0.5
"""Half of the conversations have passages in the prompt, as both ways of asking are served."""


def calibration_rows(
    model: Path, qa: pa.Table, chunks: pa.Table, *, split: str, rows: int, length: int, top_k: int, seed: int
) -> list[list[int]]:
    """At most ``rows`` conversations of ``split``, each cut to ``length`` tokens: prompt, passages and answer.

    Rows are taken by their id, a content hash: even over papers, and independent of the table's order.
    """
    chosen = qa.filter(pa.compute.equal(qa["split"], split)).sort_by("qa_id").slice(0, rows)
    if not chosen.num_rows:
        raise UserError(
            f"there is no {split} row to convert with",
            f"Add papers, or raise generate_qa.splits.{split}, and generate the rows again.",
        )
    settings = SftSettings(_NO_LIMIT, _CONTEXT_FRACTION, top_k, seed)
    examples, _ = build_examples(chosen, chunks, split, load_tokenizer(model), settings)
    return [example.input_ids[:length] for example in examples]
