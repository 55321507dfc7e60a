from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from qa_core.config import IndexSettings
from qa_core.dataset.pairing import pairs_across_papers
from qa_core.retrieval.index import PassageIndex, write_index
from qa_core.schemas import PASSAGES


def index_of(folder: Path, vectors: np.ndarray, papers: list[str], factory: str = "Flat") -> PassageIndex:
    rows = [
        {
            "chunk_id": f"c{i}", "doc_id": paper, "source": "a.md", "title": "A", "section_path": [], "start_char": 0,
            "end_char": 1, "num_tokens": 1, "density": 0.5, "prefix": "", "text": "t",
        }
        for i, paper in enumerate(papers)
    ]  # fmt: skip
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    settings = IndexSettings(factory=factory)
    write_index(vectors.astype(np.float32), pa.Table.from_pylist(rows, schema=PASSAGES), settings, folder)
    return PassageIndex.open(folder)


def chunks(papers: list[str]) -> dict[str, dict[str, str]]:
    return {f"c{i}": {"chunk_id": f"c{i}", "doc_id": paper} for i, paper in enumerate(papers)}


def ids(pairs: list[tuple[dict[str, str], dict[str, str]]]) -> list[tuple[str, str]]:
    return [(first["chunk_id"], second["chunk_id"]) for first, second in pairs]


def test_a_passage_is_paired_with_the_nearest_one_of_another_paper(tmp_path: Path) -> None:
    vectors = np.array([[1, 0, 0], [0.99, 0.1, 0], [0.9, 0.3, 0], [0, 0, 1]])
    papers = ["a", "a", "b", "b"]
    index = index_of(tmp_path, vectors, papers)
    pairs = ids(pairs_across_papers(index, chunks(papers), dict.fromkeys(papers, "train")))
    assert pairs[0] == ("c1", "c2")  # the nearest pair first, each pair once
    assert set(pairs) >= {("c0", "c2"), ("c1", "c2")}
    assert len(pairs) == len(set(pairs))


def test_a_passage_has_few_partners_however_many_there_are(tmp_path: Path) -> None:
    papers = [f"p{i}" for i in range(30)]
    vectors = np.vstack([np.eye(1, 8), np.random.default_rng(1).normal(size=(29, 8))])
    pairs = pairs_across_papers(index_of(tmp_path, vectors, papers), chunks(papers), dict.fromkeys(papers, "train"))
    assert 30 <= len(pairs) <= 150


def test_papers_of_different_splits_are_never_paired(tmp_path: Path) -> None:
    papers = ["a", "b", "c"]
    index = index_of(tmp_path, np.array([[1, 0.0], [1, 0.1], [1, 0.5]]), papers)
    pairs = pairs_across_papers(index, chunks(papers), {"a": "train", "b": "test", "c": "train"})
    assert ids(pairs) == [("c0", "c2")]


def test_a_partner_is_found_behind_any_number_of_the_papers_own_passages(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    own = np.array([1.0, 0, 0, 0]) + 0.01 * rng.normal(size=(200, 4))
    papers = ["a"] * 200 + ["b"]
    index = index_of(tmp_path, np.vstack([own, [[0.0, 1, 0, 0]]]), papers)
    pairs = pairs_across_papers(index, chunks(papers), dict.fromkeys(papers, "train"))
    assert {first for pair in ids(pairs) for first in pair} == {f"c{i}" for i in range(201)}
    assert all("c200" in pair for pair in ids(pairs))


def test_passages_that_nothing_is_asked_about_are_not_paired(tmp_path: Path) -> None:
    papers = ["a", "b", "b"]
    index = index_of(tmp_path, np.array([[1, 0.0], [1, 0.01], [1, 0.5]]), papers)
    askable = {name: chunk for name, chunk in chunks(papers).items() if name != "c1"}
    assert ids(pairs_across_papers(index, askable, dict.fromkeys(papers, "train"))) == [("c0", "c2")]


def test_a_single_paper_has_no_pairs(tmp_path: Path) -> None:
    index = index_of(tmp_path, np.eye(3), ["a", "a", "a"])
    assert pairs_across_papers(index, chunks(["a", "a", "a"]), {"a": "train"}) == []


@pytest.mark.parametrize("factory", ["HNSW16", "IVF2,Flat", "SQ8"])
def test_other_kinds_of_index_give_their_vectors_too(tmp_path: Path, factory: str) -> None:
    vectors = np.random.default_rng(5).normal(size=(90, 8))
    papers = [f"p{i % 3}" for i in range(90)]
    index = index_of(tmp_path, vectors, papers, factory)
    assert len(pairs_across_papers(index, chunks(papers), dict.fromkeys(papers, "train"))) >= 20
