from __future__ import annotations

from dataclasses import replace

import pytest

from qa_core.generation.claims import read_claim
from qa_core.generation.conflicts import contradiction, find_conflicts
from qa_core.schemas import Passage


def passage(source: str, text: str) -> Passage:
    return Passage(
        chunk_id=source, doc_id=source, source=source, title=source, section_path=(), start_char=100,
        end_char=100 + len(text), num_tokens=20, density=0.5, prefix=source, text=text,
    )  # fmt: skip


def difference(one: str, other: str) -> tuple[str, tuple[str, str]] | None:
    first, second = read_claim(one), read_claim(other)
    return contradiction(first, second) if first and second else None


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (
            "A Raft cluster of five servers tolerates the failure of two servers.",
            "A Raft cluster of five servers tolerates the failure of three servers.",
            ("number", ("two servers", "three servers")),
        ),
        ("A Raft quorum needs three votes in such a cluster.", "A Raft quorum needs 4 votes in such a cluster.",
         ("number", ("three votes", "4 votes"))),
        ("GPT-3 has 175 billion parameters in 96 layers.", "GPT-3 has 96 layers and 178 billion parameters.",
         ("number", ("175 billion", "178 billion"))),
        ("BERT reaches 84.6% on the MNLI task.", "On the MNLI task BERT reaches 80.1 %.",
         ("number", ("84.6%", "80.1 %"))),
        ("Paged attention copies the shared blocks of a prompt.",
         "Paged attention does not copy the shared blocks of a prompt.", ("negation", ("", "not"))),
        ("LDL cholesterol has no part in the development of the disease.",
         "LDL cholesterol has a causal part in the development of the disease.", ("negation", ("no", ""))),
        ("Speculative decoding reduces the latency of long answers.",
         "The latency of long answers is increased by speculative decoding.", ("direction", ("reduces", "increased"))),
        ("A stable partnership leads to faster progression of the infection.",
         "A stable partnership leads to a slower progression of the infection.", ("direction", ("faster", "slower"))),
    ],
)  # fmt: skip
def test_what_two_sentences_say_differently(one: str, other: str, found: tuple[str, tuple[str, str]] | None) -> None:
    assert difference(one, other) == found
    back = difference(other, one)
    assert back == (None if found is None else (found[0], found[1][::-1]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # The same in other words, or with the same number in another place.
        ("GPT-3 has 175 billion parameters in 96 layers.", "The 96 layers of GPT-3 have 175 billion parameters."),
        ("Speculative decoding does not increase the latency of answers.",
         "Speculative decoding decreases the latency of long answers."),
        ("Adam not only speeds the training of networks up.", "Adam speeds the training of such networks up."),
        # Each tells of its own experiment.
        ("We train the ResNet model for 90 epochs.", "We train the ResNet model for 100 epochs."),
        # Numbers that count nothing: places, references, years, items of a list.
        ("Figure 3 shows the accuracy of BERT on MNLI.", "Figure 5 shows the accuracy of BERT on MNLI."),
        ("The BERT model was published in 2018 by Devlin.", "The BERT model was published in 2019 by Devlin."),
        ("3. Use BERT models as a strong baseline.", "7. Use BERT models as a strong baseline."),
        ("GPT-3 has 175 billion parameters in all.", "GPT-3 has 175 billion parameters, 2 billion in all."),
        # Another subject.
        ("GPT-3 has 175 billion parameters in all.", "OPT has 66 billion parameters in all of it."),
        # Asked, supposed, or no sentence at all.
        ("Whether paged attention copies the shared blocks is open.", "Paged attention copies no shared blocks."),
        ("Does dropout reduce the error of the networks?", "Dropout increases the error of the networks."),
        ("not_copied = paged_attention(shared, blocks, prompt)", "copied = paged_attention(shared, blocks, prompt)"),
    ],
)  # fmt: skip
def test_what_is_no_conflict(one: str, other: str) -> None:
    assert difference(one, other) is None
    assert difference(other, one) is None


RAFT = passage("raft.md", "Leaders are elected. A Raft quorum needs three votes in a cluster of five.")
OTHER = passage("other.md", "A Raft quorum needs four votes in a cluster of five. It is so.")


def test_a_conflict_is_named_with_both_sentences() -> None:
    (found,) = find_conflicts([OTHER, passage("cache.md", "A cache stores keys."), RAFT], drawn_on=[2])
    assert found.passages == (2, 0)
    assert found.differs == ("three votes", "four votes")
    sentences = [text[start:end] for text, (start, end) in zip((RAFT.text, OTHER.text), found.spans, strict=True)]
    assert sentences == ["A Raft quorum needs three votes in a cluster of five.",
                         "A Raft quorum needs four votes in a cluster of five."]  # fmt: skip


def test_only_what_the_answer_draws_on_and_only_other_papers_count() -> None:
    assert find_conflicts([RAFT, OTHER], drawn_on=[]) == []
    assert find_conflicts([RAFT, replace(OTHER, source="raft.md")], drawn_on=[0]) == []
    assert len(find_conflicts([RAFT, OTHER], drawn_on=[0, 1])) == 1


def test_overlapping_passages_of_one_paper_tell_a_conflict_once() -> None:
    assert len(find_conflicts([RAFT, OTHER, replace(OTHER, chunk_id="again")], drawn_on=[0])) == 1
