"""Token sequences that a quantised model is calibrated and checked on: conversations as they are trained and served.

Calibration sees training rows and their papers, checks see validation rows and papers. Neither sees the test split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from qa_core.config import ConvertSettings
from qa_core.errors import UserError
from qa_core.generation.chat import build_messages
from qa_core.quantization.coverage import term_coverage
from qa_core.quantization.reference import load_tokenizer
from qa_core.schemas import Message, Passage
from qa_core.training.sft import encode

_PASSAGES = 3
"""Chunks that are shown together, as the service does."""


@dataclass(frozen=True)
class HeldOut:
    """What neither training nor calibration saw."""

    texts: Sequence[str]
    """Conversation turns, of which pieces are tokenised both ways. These alone may come from any split."""
    conversations: Sequence[Sequence[int]]
    """Token ids, at least two each."""
    prompts: Sequence[Sequence[int]]
    """Token ids of prompts that are answered."""
    corpus: Sequence[Sequence[int]]
    """Token ids of plain text from papers."""


def calibration_rows(model: Path, qa: pa.Table, chunks: pa.Table, settings: ConvertSettings) -> list[list[int]]:
    """At most ``settings.calibration_rows`` training conversations and ``calibration_chunks`` prompts that show chunks.

    Each is cut to ``calibration_length`` tokens. Rows are taken by their id, a content hash: even over papers, and
    independent of the table's order.

    Raises:
        UserError: when there are fewer than ``min_calibration_rows``.
    """
    train = qa.filter(pc.equal(qa["split"], "train"))
    conversations = _evenly(train.sort_by("qa_id"), settings.calibration_rows)["messages"].to_pylist()
    shown = _shown_chunks(train, chunks, settings.calibration_chunks)
    if (missing := settings.min_calibration_rows - len(conversations) - len(shown)) > 0:
        raise UserError(
            f"there are {settings.min_calibration_rows - missing} calibration rows of the training split, which is"
            f" {missing} too few",
            "Add papers or raise generate_qa.quotas, or lower convert.min_calibration_rows.",
        )
    tokenizer = load_tokenizer(model)
    rows = [encode(tokenizer, messages).input_ids for messages in conversations]
    rows += [_prompt(tokenizer, messages) for messages in shown]
    return [row[: settings.calibration_length] for row in rows]


def calibration_report(model: Path, qa: pa.Table, chunks: pa.Table, settings: ConvertSettings) -> dict[str, Any]:
    """Rows and tokens of the calibration, and which technical terms of the corpus it saw."""
    rows = calibration_rows(model, qa, chunks, settings)
    tokenizer = load_tokenizer(model)
    coverage = term_coverage(chunks, [tokenizer.decode(row) for row in rows])
    return {"rows": len(rows), "tokens": sum(map(len, rows)), **coverage.as_json()}


def held_out(model: Path, qa: pa.Table, chunks: pa.Table, settings: ConvertSettings) -> HeldOut:
    """What the parity checks are made on: validation rows, and the text of papers that no training row is about."""
    tokenizer = load_tokenizer(model)
    validation = qa.filter(pc.equal(qa["split"], "validation")).sort_by("qa_id")
    if not validation.num_rows:
        raise UserError(
            "there is no validation row to check the converted files with",
            "Add papers, or raise generate_qa.splits.validation, and generate the rows again.",
        )
    rows, length = settings.calibration_rows, settings.calibration_length
    conversations = _evenly(validation, rows)["messages"].to_pylist()
    asked = _evenly(validation, settings.parity.greedy_prompts)["messages"].to_pylist()
    papers = set(validation["doc_id"].to_pylist())
    texts = [chunk["text"] for chunk in chunks.sort_by("chunk_id").to_pylist() if chunk["doc_id"] in papers][:rows]
    corpus = [tokenizer(text, add_special_tokens=False)["input_ids"][:length] for text in texts]
    return HeldOut(
        texts=turns(qa),
        conversations=[encode(tokenizer, messages).input_ids[:length] for messages in conversations],
        prompts=[_prompt(tokenizer, messages[:-1])[-length:] for messages in asked],
        corpus=[row for row in corpus if len(row) > 1],
    )


def turns(qa: pa.Table) -> list[str]:
    """Every turn of every conversation, once: passages, questions and answers as the tokenizer meets them."""
    return list(dict.fromkeys(turn["content"] for messages in qa["messages"].to_pylist() for turn in messages))


def _shown_chunks(train: pa.Table, chunks: pa.Table, count: int) -> list[list[Message]]:
    """``count`` prompts in which neighbouring chunks of a training paper are the sources of one of its questions."""
    questions: dict[str, list[str]] = {}
    for row in train.sort_by("qa_id").to_pylist():
        questions.setdefault(row["doc_id"], []).append(row["question"])
    papers: dict[str, list[Passage]] = {}
    for chunk in chunks.sort_by([("doc_id", "ascending"), ("chunk_index", "ascending")]).to_pylist():
        if chunk["doc_id"] in questions:
            papers.setdefault(chunk["doc_id"], []).append(Passage.from_row(chunk))
    prompts: list[list[Message]] = []
    starts = sorted((start, doc_id) for doc_id, own in papers.items() for start in range(0, len(own), _PASSAGES))
    for start, doc_id in starts[:count]:
        asked = questions[doc_id]
        question = asked[start // _PASSAGES % len(asked)]
        prompts.append(build_messages(question, papers[doc_id][start : start + _PASSAGES]))
    return prompts


def _prompt(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _evenly(qa: pa.Table, rows: int) -> pa.Table:
    """The first ``rows`` rows of ``qa``, half of them with passages; what one kind lacks, the other makes up for."""
    num_passages = pc.list_value_length(qa["context_chunk_ids"]).to_pylist()
    with_passages, without = (
        [row for row, count in enumerate(num_passages) if bool(count) == shown] for shown in (True, False)
    )
    without = without[: max(rows // 2, rows - len(with_passages))]
    chosen = [*without, *with_passages[: rows - len(without)]]
    return qa.take(pa.array(sorted(chosen), pa.int64()))
