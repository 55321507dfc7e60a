from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from qa_core.artifacts import RunStore
from qa_core.config import RetrievalSettings, SentenceTransformersEmbedder
from serving.retriever import Retriever
from tests.small_run import EMBEDDER, PAPERS, publish_index

NEW_PAPERS = {"tides.md": "The moon raises the tides of the sea twice a day."}


def retriever(runs: Path) -> Retriever:
    publish_index(RunStore.open(str(runs), "served"), PAPERS)
    return Retriever(RunStore.open(str(runs), "served").artifact("index"), EMBEDDER, RetrievalSettings(top_k=1))


def sources(retriever: Retriever, question: str) -> list[str]:
    return [passage.source for passage in asyncio.run(retriever.retrieve(question))]


def test_an_index_that_was_built_anew_answers_without_a_restart(tmp_path: Path) -> None:
    served = retriever(tmp_path)
    assert sources(served, "What raises the tides?") != ["tides.md"]
    publish_index(RunStore.open(str(tmp_path), "served"), NEW_PAPERS)
    served.look()
    assert sources(served, "What raises the tides?") == ["tides.md"]
    assert asyncio.run(served.papers()) == {"tides.md": "tides.md"}


def test_an_index_of_another_embedder_leaves_the_old_one_answering(tmp_path: Path) -> None:
    served = retriever(tmp_path)
    other = SentenceTransformersEmbedder(name_or_path=EMBEDDER.name_or_path, query_prompt="query: ")
    publish_index(RunStore.open(str(tmp_path), "served"), NEW_PAPERS, other)
    with pytest.raises(Exception, match="was built with"):
        served.look()
    served.look()  # told once
    assert sources(served, "What is a quorum of a Raft cluster?") == ["raft.md"]


def test_nothing_changes_while_an_index_is_being_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    served = retriever(tmp_path)
    (tmp_path / "served" / "index" / "manifest.json").unlink()
    with caplog.at_level(logging.INFO, "ray.serve"):
        served.look()
    assert not caplog.records
    assert sources(served, "What is a quorum of a Raft cluster?") == ["raft.md"]
