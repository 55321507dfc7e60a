from __future__ import annotations

from dataclasses import replace

from qa_core.dataset.checks.evidence import Evidence
from qa_core.dataset.checks.two_papers import check
from qa_core.dataset.requests import Source
from tests.unit.dataset.checks.making import source

RING = source("A ring all-reduce sends each byte twice and takes 2(p - 1) steps over its links.", 1)
TREE = source("A tree all-reduce has logarithmic depth, so small messages arrive sooner.", 2)
ANSWER = "A ring takes 2(p - 1) steps over its links, whereas a tree has logarithmic depth, so messages arrive sooner."


def whole(*sources: Source) -> list[Evidence]:
    return [Evidence(each.chunk_id, each.text, 100, 100 + len(each.text)) for each in sources]


def reason(answer: str, evidence: list[Evidence], *sources: Source) -> str | None:
    found = check(answer, evidence, sources)
    assert found is None or found.stage == "evidence"
    return found.reason if found else None


def test_an_answer_that_takes_something_from_each_passage_needs_both() -> None:
    assert reason(ANSWER, whole(RING, TREE), RING, TREE) is None


def test_quotes_must_be_from_both_passages_and_these_of_two_papers() -> None:
    assert reason(ANSWER, whole(RING), RING, TREE) == "needs_two_papers"
    assert reason(ANSWER, whole(TREE), RING, TREE) == "needs_two_papers"
    assert reason(ANSWER, whole(RING), RING) == "needs_two_papers"
    same_paper = replace(TREE, doc_id=RING.doc_id)
    assert reason(ANSWER, whole(RING, same_paper), RING, same_paper) == "needs_two_papers"


def test_an_answer_from_one_passage_needs_only_that_one() -> None:
    found = check("A tree has logarithmic depth, so messages arrive sooner.", whole(RING, TREE), [RING, TREE])
    assert found is not None
    assert (found.reason, found.detail) == ("one_passage_suffices", "passage 1 adds nothing to the other")


def test_what_the_other_passage_says_as_well_does_not_count() -> None:
    both = source(f"{TREE.text} {RING.text}", 2)
    assert reason(ANSWER, whole(RING, both), RING, both) == "one_passage_suffices"


def test_what_stands_in_the_passage_but_not_in_its_quotes_does_not_count() -> None:
    quoted = [Evidence("c1", "A ring all-reduce", 100, 117), *whole(TREE)]
    assert reason(ANSWER, quoted, RING, TREE) == "one_passage_suffices"


def test_one_number_of_its_own_makes_a_passage_needed_and_one_ordinary_word_does_not() -> None:
    first, second = source("Latency is 40 ms with hedging.", 1), source("Latency is 90 ms without.", 2)
    assert reason("Latency is 40 ms against 90 ms.", whole(first, second), first, second) is None
    assert reason("With hedging, latency is 90 ms.", whole(first, second), first, second) == "one_passage_suffices"


def test_an_inflected_word_is_the_same_word() -> None:
    first, second = source("Schedulers queued waiting jobs.", 1), source("A scheduler queues 7 jobs that wait.", 2)
    assert (
        reason("Schedulers queued waiting jobs, 7 of them.", whole(first, second), first, second)
        == "one_passage_suffices"
    )
