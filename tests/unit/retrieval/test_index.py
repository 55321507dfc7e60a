from __future__ import annotations

import json
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pytest

from qa_core.config import IndexSettings
from qa_core.errors import UserError
from qa_core.retrieval.index import PassageIndex, _identity, write_index
from qa_core.schemas import PASSAGES

DIMENSION = 16


def unit_rows(n: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, DIMENSION)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def passages(n: int) -> pa.Table:
    rows = [
        {
            "chunk_id": f"c{i}", "doc_id": f"d{i % 3}", "source": "a.md", "title": "A", "section_path": ["S", "T"],
            "start_char": i, "end_char": i + 5, "num_tokens": 3, "density": 0.25,
            "prefix": "A > S > T", "text": f"text {i}",
        }
        for i in range(n)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=PASSAGES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_index(unit_rows(40), passages(40), IndexSettings(), tmp_path)
    return tmp_path


def test_a_vector_finds_its_own_passage_first(folder: Path) -> None:
    index = PassageIndex.open(folder)
    for i in (0, 17, 39):
        first = index.search(unit_rows(40)[i], 3)[0]
        assert (first.chunk_id, first.text, first.section_path) == (f"c{i}", f"text {i}", ("S", "T"))
        assert first.similarity == pytest.approx(1.0)
        assert first.density == 0.25


def test_the_order_is_that_of_the_exact_cosine_similarity(folder: Path) -> None:
    question = unit_rows(1, seed=5)[0]
    expected = np.argsort(-(unit_rows(40) @ question), kind="stable")[:7]
    found = PassageIndex.open(folder).search(question, 7)
    assert [passage.chunk_id for passage in found] == [f"c{i}" for i in expected]


def test_equal_vectors_come_in_passage_order(tmp_path: Path) -> None:
    write_index(np.repeat(unit_rows(1), 6, axis=0), passages(6), IndexSettings(), tmp_path)
    found = PassageIndex.open(tmp_path).search(unit_rows(1)[0], 6)
    assert [passage.chunk_id for passage in found] == [f"c{i}" for i in range(6)]


def test_asking_for_more_passages_than_there_are_gives_all_of_them(folder: Path) -> None:
    assert len(PassageIndex.open(folder).search(unit_rows(1)[0], 1000)) == 40


@pytest.mark.parametrize("factory", ["Flat", "HNSW8", "IVF2,Flat", "SQ8"])
def test_the_same_vectors_give_the_same_bytes_with_any_factory(factory: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_index(unit_rows(40), passages(40), IndexSettings(factory=factory), tmp_path / name)
    for file in ("vectors.faiss", "passages.parquet", "index.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert len(PassageIndex.open(tmp_path / "one").search(unit_rows(1)[0], 3)) == 3


@pytest.mark.parametrize("factory", ["Bogus", "IVF4096,Flat"])
def test_a_factory_that_cannot_be_built_is_the_users_to_mend(factory: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"index.factory={factory} cannot hold these 40 vectors"):
        write_index(unit_rows(40), passages(40), IndexSettings(factory=factory), tmp_path)


@pytest.mark.parametrize("name", ["vectors.faiss", "passages.parquet", "index.json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "flipped"])
def test_a_damaged_file_is_named_with_the_remedy(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "flipped":
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    else:
        path.write_bytes(data[: 0 if damage == "empty" else len(data) // 2])
    with pytest.raises(UserError) as error:
        PassageIndex.open(folder)
    assert name in error.value.problem
    assert "lectern index --force" in error.value.remedy


def reseal(folder: Path, name: str) -> None:
    """Make ``index.json`` vouch for a file that was changed."""
    description = json.loads((folder / "index.json").read_text())
    description["files"][name] = _identity(folder / name).model_dump()
    (folder / "index.json").write_text(json.dumps(description))


def test_a_forged_length_is_refused_before_memory_is_taken(folder: Path) -> None:
    path = folder / "vectors.faiss"
    data = bytearray(path.read_bytes())
    at = data.index((40 * DIMENSION).to_bytes(8, "little"))
    data[at : at + 8] = (1 << 33).to_bytes(8, "little")
    path.write_bytes(data)
    reseal(folder, "vectors.faiss")
    limit = faiss.get_deserialization_vector_byte_limit()
    with pytest.raises(UserError, match="cannot be read by FAISS"):
        PassageIndex.open(folder)
    assert faiss.get_deserialization_vector_byte_limit() == limit


def test_vectors_and_passages_must_be_as_many(folder: Path) -> None:
    faiss.write_index(faiss.index_factory(DIMENSION, "Flat", faiss.METRIC_INNER_PRODUCT), str(folder / "vectors.faiss"))
    reseal(folder, "vectors.faiss")
    with pytest.raises(UserError, match=r"vectors.faiss holds 0 x 16"):
        PassageIndex.open(folder)


def test_an_index_of_distances_is_refused(folder: Path) -> None:
    index = faiss.index_factory(DIMENSION, "Flat", faiss.METRIC_L2)
    index.add(unit_rows(40))
    faiss.write_index(index, str(folder / "vectors.faiss"))
    reseal(folder, "vectors.faiss")
    with pytest.raises(UserError, match="inner product"):
        PassageIndex.open(folder)


def test_a_question_of_another_dimension_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="dimension 16"):
        PassageIndex.open(folder).search(np.zeros(8, dtype=np.float32), 1)
