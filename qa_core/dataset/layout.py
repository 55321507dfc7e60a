"""The data set on the disk, as the Hugging Face ``datasets`` library opens it: one parquet file a split and a card."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qa_core.schemas import QA

SPLITS = ("train", "validation", "test")
CARD = "README.md"


def split_file(split: str) -> str:
    """Name of the file that holds ``split``, in the library's own pattern."""
    return f"{split}-00000-of-00001.parquet"


def write_dataset(rows: pa.Table, folder: Path, card: str) -> None:
    """Write ``rows`` of ``schemas.QA`` and ``card`` to ``folder``, which is there; equal rows give equal bytes.

    A split without rows has no file: the library opens no data set that has an empty split.
    """
    rows = rows.select(QA.names).cast(QA)
    strays = set(rows["split"].unique().to_pylist()) - set(SPLITS)
    if strays:
        raise ValueError(f"rows of no split: {sorted(map(str, strays))}")
    for split in splits_of(rows):
        pq.write_table(rows.filter(pc.equal(rows["split"], split)), folder / split_file(split))
    (folder / CARD).write_text(card, encoding="utf-8")


def splits_of(rows: pa.Table) -> list[str]:
    """The splits that ``rows`` has, in the usual order."""
    there = set(rows["split"].unique().to_pylist())
    return [split for split in SPLITS if split in there]
