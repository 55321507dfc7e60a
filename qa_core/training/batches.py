"""Packed bins as tensors: rows one behind the other without padding, and where each begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from torch.utils.data import Dataset
from transformers import DataCollatorWithFlattening

from qa_core.config import FinetuneSettings
from qa_core.training.packing import Bin, filled, pack, packed_order
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

    @classmethod
    def whole(cls, examples: Sequence[TrainingExample], capacity: int) -> Self:
        """Every example once, in as few bins as packing finds."""
        return cls(examples, pack(lengths_of(examples), capacity))

    def __len__(self) -> int:
        return len(self.bins)

    def __getitem__(self, index: int) -> PackedRows:
        return PackedRows(index, [self.examples[row] for row in self.bins[index]])


@dataclass(frozen=True)
class PackedPlan:
    """All bins of a run, step after step."""

    dataset: PackedDataset
    batch_size: int
    """Bins of a step."""
    capacity: int
    """Tokens of a bin."""

    @classmethod
    def make(cls, examples: Sequence[TrainingExample], settings: FinetuneSettings, seed: int) -> Self:
        num_bins = settings.max_steps * settings.train_batch_size
        bins = packed_order(lengths_of(examples), settings.max_length, num_bins, seed)
        return cls(PackedDataset(examples, bins), settings.train_batch_size, settings.max_length)

    def seen(self, steps: int) -> tuple[int, float]:
        """Tokens of the first ``steps`` steps, and the share of their bins' room that these take."""
        bins, lengths = self.dataset.bins[: steps * self.batch_size], lengths_of(self.dataset.examples)
        return sum(lengths[row] for rows in bins for row in rows), filled(bins, lengths, self.capacity)

    @property
    def summary(self) -> str:
        """Steps, tokens and passes over the rows, for a person."""
        bins, rows = self.dataset.bins, len(self.dataset.examples)
        steps = len(bins) // self.batch_size
        passes = sum(map(len, bins)) / rows
        tokens, _ = self.seen(steps)
        return f"{steps:,} steps over {tokens:,} tokens: {passes:.1f} passes over {rows:,} rows"


def lengths_of(examples: Sequence[TrainingExample]) -> list[int]:
    """Tokens of each example."""
    return [len(example.input_ids) for example in examples]


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
