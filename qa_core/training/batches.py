"""Packed bins as tensors: rows one behind the other without padding, and where each begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import Dataset
from transformers import DataCollatorWithFlattening

from qa_core.training.packing import Bin
from qa_core.training.sft import TrainingExample


@dataclass(frozen=True)
class PackedRows:
    """The rows of one bin."""

    number: int
    """Of the bin, counted over the whole run."""
    rows: Sequence[TrainingExample]


@dataclass(frozen=True)
class PackedDataset(Dataset[PackedRows]):
    """Examples, in the bins and the order that were planned."""

    examples: Sequence[TrainingExample]
    bins: Sequence[Bin]

    def __len__(self) -> int:
        return len(self.bins)

    def __getitem__(self, index: int) -> PackedRows:
        return PackedRows(index, [self.examples[row] for row in self.bins[index]])


class PackedCollator:
    """Bins -> one sequence of all their rows.

    ``input_ids``, ``labels`` and ``position_ids`` are int64[1, tokens]; positions restart with each row, and
    ``cu_seq_lens_q`` and ``cu_seq_lens_k`` (int32[rows + 1]) say where. ``first_bin`` and ``qa_ids`` tell who it is
    and are taken out before the model sees the batch.
    """

    def __init__(self) -> None:
        self._flatten = DataCollatorWithFlattening(return_flash_attn_kwargs=True)

    def __call__(self, bins: Sequence[PackedRows]) -> dict[str, Any]:
        rows = [row for packed in bins for row in packed.rows]
        batch = self._flatten([{"input_ids": row.input_ids, "labels": row.labels} for row in rows])
        return {**batch, "first_bin": bins[0].number, "qa_ids": [row.qa_id for row in rows]}
