"""Two small papers, a tokenizer made of them, and pupils that learn from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from qa_core.corpus.documents import Document
from qa_core.corpus.loading import read_document
from qa_core.training.tokenizer import save_tokenizer, train_tokenizer
from tools.reader.corpus import lessons
from tools.reader.questions import Pupil, pupils

RAFT = """# Raft

## Leader election

Raft is a consensus algorithm that manages a replicated log. A follower that hears nothing starts an election.
The leader sends heartbeats to all followers because a silent leader would lose its office.
If two candidates split the vote, both wait for a random time and try again.

## Safety

A candidate must collect votes from a majority of the servers. The log of the winner holds all committed entries.
"""
HASHING = """# Consistent hashing

## Ring

Consistent hashing is a scheme that maps keys and servers to one ring. A key belongs to the next server on the ring.
When a server joins, only its neighbour gives keys away. Virtual nodes spread the load because each server has many.
"""


@pytest.fixture(scope="session")
def documents() -> list[Document]:
    return [read_document(f"{name}.md", text.encode()) for name, text in (("raft", RAFT), ("hashing", HASHING))]


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(train_tokenizer([RAFT, HASHING] * 5, 512), 2048, folder)
    loaded = AutoTokenizer.from_pretrained(folder)
    loaded.folder = folder
    return loaded


@pytest.fixture(scope="session")
def class_of_pupils(documents: list[Document], tokenizer: Any) -> list[Pupil]:
    return pupils(lessons(documents, Path(tokenizer.folder) / "tokenizer.json"))
