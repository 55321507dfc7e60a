"""The files of the chunk stage: papers are spread over numbered buckets, and each bucket is one parquet file a table.

A paper's bucket depends on its name alone and its rows are row groups of their own. So what an earlier run made of an
unchanged paper is found and copied without looking at anything else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from qa_core.artifacts import Artifact
from qa_core.corpus.dedup import Fingerprint
from qa_core.corpus.papers import PaperFile
from qa_core.schemas import CHUNKS, CHUNKS_REJECTED, DOCUMENTS

SCHEMAS = {"chunks": CHUNKS, "chunks_rejected": CHUNKS_REJECTED, "documents": DOCUMENTS}
PAPERS_PER_BUCKET = 16
MAX_BUCKETS = 1024
_NUMBER_LISTS = ("signature", "block_hashes", "skipped_blocks")
_NO_NUMBERS = np.zeros(0, dtype=np.uint64)


def num_buckets(num_papers: int) -> int:
    """A power of two, so that it changes seldom and old and new buckets nest."""
    wanted = max(1, num_papers // PAPERS_PER_BUCKET)
    return min(MAX_BUCKETS, 1 << (wanted - 1).bit_length())


def bucket_of(source: str, buckets: int) -> int:
    return int.from_bytes(hashlib.sha256(source.encode()).digest()[:8], "big") % buckets


def into_buckets(papers: Sequence[PaperFile]) -> list[list[PaperFile]]:
    """The papers of each bucket, in the order of their names."""
    buckets: list[list[PaperFile]] = [[] for _ in range(num_buckets(len(papers)))]
    for paper in papers:
        buckets[bucket_of(paper.source, len(buckets))].append(paper)
    return buckets


def file_name(bucket: int) -> str:
    return f"part-{bucket:05}.parquet"


def summary_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as dicts; the long lists of numbers stay numpy arrays."""
    rows = table.drop_columns(list(_NUMBER_LISTS)).to_pylist()
    for name in _NUMBER_LISTS:
        for row, numbers in zip(rows, table[name], strict=True):
            row[name] = numbers.values.to_numpy() if numbers.is_valid else _NO_NUMBERS
    return rows


def fingerprint_of(row: Mapping[str, Any]) -> Fingerprint:
    """Of a row of ``DOCUMENTS`` as :func:`summary_rows` gives it."""
    return Fingerprint(**{field.name: row[field.name] for field in fields(Fingerprint)})


@dataclass(frozen=True)
class EarlierFiles:
    """What an earlier run left, finished or still in its staging folders."""

    filesystem: pafs.FileSystem
    folders: Mapping[str, str]
    """Table name -> folder."""
    buckets: int

    def open_bucket(self, bucket: int, buckets: int) -> EarlierBucket:
        """All files in which a paper of ``bucket``, of ``buckets`` now, can have been."""
        shared = min(buckets, self.buckets)
        return EarlierBucket(self, [n for n in range(self.buckets) if n % shared == bucket % shared])

    def ledger(self, number: int) -> list[dict[str, Any]]:
        """The rows of ``DOCUMENTS`` in one file, without texts and the rows that hold only text."""
        columns = [name for name in DOCUMENTS.names if name != "text"]
        table = pq.read_table(self.path("documents", number), columns=columns, filesystem=self.filesystem)
        return summary_rows(table.filter(pc.is_valid(table["outcome"])))

    def path(self, table: str, number: int) -> str:
        return f"{self.folders[table]}/{file_name(number)}"


class EarlierBucket:
    """The files stay open for the length of the ``with`` block: each is asked for many papers."""

    def __init__(self, files: EarlierFiles, numbers: Sequence[int]) -> None:
        self._files = files
        self._numbers = numbers
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ledger(self) -> dict[str, dict[str, Any]]:
        """Source -> its row of ``DOCUMENTS``, without the text."""
        return {row["source"]: row for number in self._numbers for row in self._files.ledger(number)}

    def rows(self, table: str, source: str) -> Iterator[pa.Table]:
        """The row groups of ``source``."""
        for file, group in self._groups[table].get(source, ()):
            yield file.read_row_group(group)

    @cached_property
    def _groups(self) -> dict[str, dict[str, list[tuple[pq.ParquetFile, int]]]]:
        return {table: self._find_groups(table) for table in self._files.folders}

    def _find_groups(self, table: str) -> dict[str, list[tuple[pq.ParquetFile, int]]]:
        found: dict[str, list[tuple[pq.ParquetFile, int]]] = {}
        for number in self._numbers:
            stream = self._files.filesystem.open_input_file(self._files.path(table, number))
            file = pq.ParquetFile(self._stack.enter_context(stream))
            for group in range(file.num_row_groups):
                source = file.read_row_group(group, columns=["source"])["source"][0].as_py()
                found.setdefault(source, []).append((file, group))
        return found


class BucketWriter:
    """Writes one file a table; they get their names only when the block ends without an error."""

    def __init__(self, outputs: Mapping[str, Artifact], bucket: int) -> None:
        self._outputs = outputs
        self._name = file_name(bucket)
        self._writers: dict[str, pq.ParquetWriter] = {}

    def __enter__(self) -> Self:
        for table, schema in SCHEMAS.items():
            output = self._outputs[table]
            self._writers[table] = pq.ParquetWriter(
                self._partial(table), schema, filesystem=output.filesystem, compression="zstd"
            )
        return self

    def write(self, table: str, rows: Iterable[Mapping[str, Any]] | pa.Table) -> None:
        """Add a row group; all its rows are of one source."""
        added = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows), schema=SCHEMAS[table])
        if added.num_rows:
            self._writers[table].write_table(added, row_group_size=added.num_rows)

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        for writer in self._writers.values():
            writer.close()
        for table, output in self._outputs.items():
            if error is None:
                output.filesystem.move(self._partial(table), f"{output.staging_path}/{self._name}")
            else:
                output.filesystem.delete_file(self._partial(table))

    def _partial(self, table: str) -> str:
        return f"{self._outputs[table].staging_path}/{self._name}.partial"
