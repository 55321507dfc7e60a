"""A FAISS index and its passages in one folder of three plain files: no pickle anywhere.

``vectors.faiss``     what ``index_factory`` built, inner product over unit vectors (cosine similarity)
``passages.parquet``  schema ``PASSAGES``; the row number is the vector id
``index.json``        dimension, factory, count, embedder settings, and the size and SHA-256 of the other two
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from qa_core.config import IndexSettings, SentenceTransformersEmbedder
from qa_core.errors import UserError
from qa_core.manifest import FileRecord
from qa_core.schemas import PASSAGES, Passage

_VECTORS, _PASSAGES, _DESCRIPTION = "vectors.faiss", "passages.parquet", "index.json"


class _Description(BaseModel):
    """``index.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[2] = 2
    metric: Literal["inner_product"] = "inner_product"
    factory: str
    count: int
    dimension: int
    embedder: SentenceTransformersEmbedder
    files: dict[str, FileRecord]


def write_index(vectors: np.ndarray, passages: pa.Table, settings: IndexSettings, out: Path) -> None:
    """Write the three files for float32 unit rows ``vectors[n, d]`` and the ``n`` rows of ``passages``, in that order.

    Raises ``UserError`` when ``settings.factory`` is not a factory string or needs more vectors than there are.
    """
    if len(vectors) != passages.num_rows or not len(vectors):
        raise ValueError(f"{len(vectors)} vectors for {passages.num_rows} passages")
    faiss.write_index(_build(np.ascontiguousarray(vectors, dtype=np.float32), settings.factory), str(out / _VECTORS))
    pq.write_table(passages.select(PASSAGES.names).cast(PASSAGES), out / _PASSAGES)
    description = _Description(
        count=len(vectors),
        dimension=int(vectors.shape[1]),
        factory=settings.factory,
        embedder=settings.embedder,
        files={name: _identity(out / name) for name in (_VECTORS, _PASSAGES)},
    )
    (out / _DESCRIPTION).write_text(description.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _build(vectors: np.ndarray, factory: str) -> faiss.Index:
    with _one_thread():
        try:
            index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
            if not index.is_trained:
                index.train(vectors)
            index.add(vectors)
        except RuntimeError as error:
            raise UserError(
                f"index.factory={factory} cannot hold these {len(vectors)} vectors: {_last_clause(error)}",
                "index.factory=Flat is exact and serves up to about a million passages.",
            ) from error
    return index


@contextmanager
def _one_thread() -> Iterator[None]:
    """Graph and cluster building depend on the order in which threads finish; one thread gives one result."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def _last_clause(error: RuntimeError) -> str:
    """FAISS puts the C++ function and file before its message; a user needs what comes after."""
    return str(error).rpartition("Error: ")[2].rpartition(".cpp:")[2].partition(": ")[2] or str(error)


class PassageIndex:
    """Passages by cosine similarity. Searching is safe from several threads."""

    def __init__(self, index: faiss.Index, passages: pa.Table, embedder: SentenceTransformersEmbedder) -> None:
        self._index = index
        self._passages = passages
        self.embedder = embedder
        """Settings of the embedder that made the vectors; a question must be embedded by the same."""

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read and check an index. Raises ``UserError`` naming the file that is missing, damaged or does not fit."""
        description = _read_description(folder / _DESCRIPTION)
        for name, identity in description.files.items():
            _require(folder / name, (folder / name).is_file(), "is missing")
            _require(folder / name, _identity(folder / name) == identity, "is not the file that index.json describes")
        passages = _read_passages(folder / _PASSAGES)
        _require(folder / _PASSAGES, passages.num_rows == description.count, f"has {passages.num_rows} passages")
        index = _read_vectors(folder / _VECTORS)
        expected = (description.count, description.dimension)
        _require(folder / _VECTORS, (index.ntotal, index.d) == expected, f"holds {index.ntotal} x {index.d} numbers")
        _require(folder / _VECTORS, index.metric_type == faiss.METRIC_INNER_PRODUCT, "is not an inner product index")
        return cls(index, passages, description.embedder)

    def __len__(self) -> int:
        return self._passages.num_rows

    @property
    def chunk_ids(self) -> list[str]:
        """Of every passage, in the order of the vector ids."""
        return self._passages["chunk_id"].to_pylist()

    def neighbours(self, positions: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids int64 and similarities float32, both ``[n, k]``, of the passages nearest to those at ``positions``.

        Best first, the passage itself among them; the id is -1 where there are no more.
        """
        vectors = self._vectors(positions)
        similarities, ids = self._index.search(vectors, min(k, len(self)))
        return ids, similarities

    def _vectors(self, positions: np.ndarray) -> np.ndarray:
        """What is stored, float32 ``[n, dimension]``; a factory that compresses has lost some of it."""
        inverted = faiss.try_extract_index_ivf(self._index)
        if inverted is not None:
            inverted.make_direct_map()  # it finds a vector by its id only through this map, which is made once
        return self._index.reconstruct_batch(positions)

    def search(self, vector: np.ndarray, k: int, documents: Sequence[str] | None = None) -> list[Passage]:
        """The ``k`` nearest passages (fewer when there are no more), best first, equals in passage order.

        Args:
            documents: sources of the papers to look in; all of them when empty.
        """
        if vector.shape != (self._index.d,):
            raise ValueError(f"question vector {vector.shape} for an index of dimension {self._index.d}")
        question = np.asarray(vector, dtype=np.float32)
        found = self._search_all(question, k) if documents is None else self._search_in(question, k, documents)
        hits = sorted((-similarity, place) for similarity, place in found)
        rows = self._passages.take(pa.array([place for _, place in hits], pa.int64())).to_pylist()
        return [replace(Passage.from_row(row), similarity=-s) for row, (s, _) in zip(rows, hits, strict=True)]

    @functools.cached_property
    def papers(self) -> dict[str, str]:
        """Titles of the papers by their sources, in the order of the titles."""
        distinct = self._passages.group_by(["source", "title"]).aggregate([]).to_pylist()
        return {row["source"]: row["title"] for row in sorted(distinct, key=lambda row: (row["title"], row["source"]))}

    def passages_of(self, documents: Sequence[str]) -> list[Passage]:
        """Every passage of the papers with these sources."""
        rows = self._passages.take(self._places_of(documents)).to_pylist()
        return [Passage.from_row(row) for row in rows]

    def _search_all(self, question: np.ndarray, k: int) -> list[tuple[float, int]]:
        """Similarities and vector ids."""
        similarities, ids = self._index.search(question[None, :], min(k, len(self)))
        # An approximate index pads a short answer with the id -1.
        return [(float(s), int(i)) for s, i in zip(similarities[0], ids[0], strict=True) if i >= 0]

    def _search_in(self, question: np.ndarray, k: int, documents: Sequence[str]) -> list[tuple[float, int]]:
        """The same among the passages of some papers, compared one by one: exact for every factory that keeps its
        vectors, and a paper has a hundred passages, not a million."""
        places = self._places_of(documents)
        similarities = (self._vectors(places) @ question).tolist()
        return sorted(zip(similarities, places.tolist(), strict=True), key=lambda found: -found[0])[:k]

    def _places_of(self, documents: Sequence[str]) -> np.ndarray:
        wanted = pc.is_in(self._passages["source"], value_set=pa.array(list(documents), pa.string()))
        return np.flatnonzero(wanted.to_numpy())


def _identity(path: Path) -> FileRecord:
    with path.open("rb") as file:
        return FileRecord(bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _require(path: Path, holds: bool, problem: str) -> None:
    if not holds:
        raise _damaged(path, problem)


def _damaged(path: Path, problem: str) -> UserError:
    return UserError(f"Damaged index: {path} {problem}.", "Build it again: `lectern index --force`.")


def _read_description(path: Path) -> _Description:
    try:
        description = _Description.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise _damaged(path, "is missing or not an index description") from error
    _require(path, set(description.files) == {_VECTORS, _PASSAGES}, "names other files")
    return description


def _read_passages(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, "is not a parquet file") from error
    _require(path, table.schema.equals(PASSAGES), "is not a table of passages")
    return table


def _read_vectors(path: Path) -> faiss.Index:
    """No honest vector in the file is larger than the file; the limit keeps a forged length from taking the memory."""
    limit = faiss.get_deserialization_vector_byte_limit()
    faiss.set_deserialization_vector_byte_limit(path.stat().st_size)
    try:
        return faiss.read_index(str(path))
    except RuntimeError as error:
        raise _damaged(path, "cannot be read by FAISS") from error
    finally:
        faiss.set_deserialization_vector_byte_limit(limit)
