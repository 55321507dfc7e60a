from __future__ import annotations

import random

import numpy as np
import pytest

from qa_core.config import ChunkSettings
from qa_core.corpus.dedup import NUM_HASHES, Fingerprint, PaperFingerprint, judge

WORDS = [f"word{i}" for i in range(3000)]


def sentences(seed: int, count: int = 60) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=12)).capitalize() + "." for _ in range(count)]


def fingerprint(source: str, blocks: list[str]) -> Fingerprint:
    paper = PaperFingerprint()
    for block in blocks:
        paper.add(block, "paragraph")
    return Fingerprint(
        source, paper.content_hash, paper.num_words, np.array(paper.signature), np.array(paper.block_hashes)
    )


def settings(**values: float) -> ChunkSettings:
    return ChunkSettings.model_validate({"boilerplate_papers": 0, **values})


def test_spacing_line_breaks_and_composed_letters_do_not_make_a_text_another():
    one, two = fingerprint("a", ["Ein  Café\n\nda "]), fingerprint("b", ["Ein Cafe\u0301 da"])
    assert one.content_hash == two.content_hash


def test_any_other_letter_and_any_other_cut_into_blocks_makes_a_text_another():
    hashes = {fingerprint("a", blocks).content_hash for blocks in (["a b"], ["A b"], ["ab"], ["a", "b"])}
    assert len(hashes) == 4


def test_the_copy_with_the_later_name_is_left_out_whatever_the_order_of_arrival():
    papers = [fingerprint(name, sentences(1)) for name in ("c.md", "a.md", "d.md")] + [fingerprint("b.md", ["x"])]
    verdict = judge(papers, settings())
    assert verdict.duplicates == {
        "c.md": ("duplicate_document", "same text as a.md"),
        "d.md": ("duplicate_document", "same text as a.md"),
    }
    assert judge(papers[::-1], settings()) == verdict


def test_of_two_versions_of_a_paper_the_shorter_is_left_out():
    long = sentences(1)
    verdict = judge([fingerprint("a.md", long[:50]), fingerprint("b.md", long)], settings())
    assert verdict.duplicates["a.md"][0] == "near_duplicate"
    assert "b.md" in verdict.duplicates["a.md"][1]


def test_papers_that_share_a_section_are_not_duplicates():
    shared = sentences(0, 15)
    papers = [fingerprint(f"{i}.md", shared + sentences(i)) for i in (1, 2, 3)]
    assert judge(papers, settings()).duplicates == {}


def test_with_similarity_1_only_equal_phrases_are_near_duplicates():
    long = sentences(1)
    papers = [fingerprint("a.md", long[:50]), fingerprint("b.md", long)]
    assert judge(papers, settings(near_duplicate_similarity=1.0)).duplicates == {}


@pytest.mark.parametrize("kept", [0.9, 0.7, 0.5, 0.2])
def test_the_estimated_similarity_is_that_of_the_sets_of_phrases(kept: float):
    blocks = sentences(3, 200)
    cut = blocks[: int(len(blocks) * kept)]
    one, two = fingerprint("a", blocks), fingerprint("b", cut)
    assert float(np.mean(one.signature == two.signature)) == pytest.approx(kept, abs=4 * 0.5 / NUM_HASHES**0.5)


def test_a_block_of_several_papers_is_boilerplate_and_one_that_a_paper_repeats_is_not():
    note = "This work is licensed under a licence that lets anybody copy it as they like."
    refrain = "The reader may want to skip this section at first and come back to it later."
    papers = [fingerprint(f"{i}.md", [*sentences(i), note, *[refrain] * (4 if i == 1 else 0)]) for i in range(3)]
    verdict = judge(papers, settings(boilerplate_papers=3))
    assert verdict.boilerplate == {PaperFingerprint().add(note, "paragraph")}
    assert PaperFingerprint().add(refrain, "paragraph") in papers[1].block_hashes


def test_copies_of_one_paper_do_not_make_its_text_boilerplate():
    papers = [fingerprint(f"{i}.md", sentences(1)) for i in range(4)]
    assert judge(papers, settings(boilerplate_papers=2)).boilerplate == frozenset()


def test_short_blocks_are_never_boilerplate():
    assert PaperFingerprint().add("Acknowledgements are here.", "paragraph") == 0


def test_a_work_that_many_papers_cite_is_no_boilerplate():
    entry = "[1] A. Author and B. Other. A title of several words. In Proceedings of a Conference, 2020."
    assert PaperFingerprint().add(entry, "references") == 0


def test_papers_without_a_word_are_no_copies_of_each_other():
    assert judge([fingerprint("a.md", []), fingerprint("b.md", [])], settings()).duplicates == {}


def test_the_copy_of_a_paper_that_is_left_out_is_like_the_one_that_is_kept():
    long = sentences(1)
    papers = [fingerprint("a.md", long), fingerprint("b.md", long[:50]), fingerprint("c.md", long[:50])]
    reasons = judge(papers, settings()).duplicates
    assert {source: reason for source, (reason, _) in reasons.items()} == {
        "b.md": "near_duplicate", "c.md": "near_duplicate",
    }  # fmt: skip
    assert all("a.md" in detail for _, detail in reasons.values())
