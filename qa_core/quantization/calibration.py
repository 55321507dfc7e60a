"""Token sequences that a quantised model is calibrated and checked on: conversations as they are trained and served."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from qa_core.errors import UserError
from qa_core.quantization.reference import load_tokenizer
from qa_core.training.sft import build_examples

_NO_LIMIT = 2**31


def calibration_rows(model: Path, qa: pa.Table, *, split: str, rows: int, length: int) -> list[list[int]]:
    """At most ``rows`` conversations of ``split``, each cut to ``length`` tokens: prompt, passages and answer.

    As many have passages in the prompt as have none, where there are enough of both, since both ways of asking are
    served. Rows are taken by their id, a content hash: even over papers, and independent of the table's order.
    """
    chosen = _evenly(qa.filter(pc.equal(qa["split"], split)).sort_by("qa_id"), rows)
    if not chosen.num_rows:
        raise UserError(
            f"there is no {split} row to convert with",
            f"Add papers, or raise generate_qa.splits.{split}, and generate the rows again.",
        )
    examples, _ = build_examples(chosen, split, load_tokenizer(model), _NO_LIMIT)
    return [example.input_ids[:length] for example in examples]


def turns(qa: pa.Table) -> list[str]:
    """Every turn of every conversation, once: passages, questions and answers as the tokenizer meets them."""
    return list(dict.fromkeys(turn["content"] for messages in qa["messages"].to_pylist() for turn in messages))


def _evenly(qa: pa.Table, rows: int) -> pa.Table:
    """The first ``rows`` rows of ``qa``, half of them with passages; what one kind lacks, the other makes up for."""
    num_passages = pc.list_value_length(qa["context_chunk_ids"]).to_pylist()
    with_passages, without = (
        [row for row, count in enumerate(num_passages) if bool(count) == shown] for shown in (True, False)
    )
    without = without[: max(rows // 2, rows - len(with_passages))]
    chosen = [*without, *with_passages[: rows - len(without)]]
    return qa.take(pa.array(sorted(chosen), pa.int64()))
