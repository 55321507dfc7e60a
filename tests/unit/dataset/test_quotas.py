from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from qa_core.dataset.quotas import Row, in_turns, select_rows


def rows(papers: int = 4, **counts: int) -> list[Row]:
    return [
        {"qa_id": f"{kind}-{number}", "question_type": kind, "doc_id": f"doc-{number % papers}", "review": None}
        for kind, count in counts.items()
        for number in range(count)
    ]


def test_a_type_gets_its_quota_and_the_papers_take_turns() -> None:
    kept = select_rows(rows(factual=40, numeric=40), {"factual": 12, "numeric": 8}, None, seed=17)
    assert Counter(row["question_type"] for row in kept) == {"factual": 12, "numeric": 8}
    assert set(Counter((row["question_type"], row["doc_id"]) for row in kept).values()) == {3, 2}


def test_a_quota_that_is_not_reached_keeps_every_row_in_order() -> None:
    given_rows = rows(factual=5, numeric=2)
    assert select_rows(given_rows, {"factual": 9, "numeric": 9}, None, seed=17) == given_rows


def test_a_type_without_a_quota_is_not_kept() -> None:
    assert select_rows(rows(factual=5), {"numeric": 3}, None, seed=17) == []


def test_no_paper_gives_more_than_its_share_and_no_type_takes_it_all() -> None:
    kept = select_rows(rows(papers=2, factual=40, numeric=40), {"factual": 30, "numeric": 30}, 6, seed=17)
    assert Counter(row["doc_id"] for row in kept) == {"doc-0": 6, "doc-1": 6}
    assert Counter(row["question_type"] for row in kept) == {"factual": 6, "numeric": 6}


def test_what_a_person_accepted_comes_before_all_others() -> None:
    seen = [{**row, "review": "accepted"} if row["qa_id"] == "factual-33" else row for row in rows(factual=40)]
    first = lambda row: int(row["review"] is None)  # noqa: E731
    assert "factual-33" in {row["qa_id"] for row in select_rows(seen, {"factual": 1}, None, 17, first)}


def test_a_row_of_lower_rank_keeps_its_place_also_against_another_type() -> None:
    both = rows(papers=1, factual=20, numeric=20)
    kept = select_rows(both, {"factual": 9, "numeric": 9}, 1, 17, lambda row: int(row["qa_id"] != "numeric-7"))
    assert [row["qa_id"] for row in kept] == ["numeric-7"]


def test_the_choice_depends_on_the_seed_and_not_on_the_order() -> None:
    given_rows = rows(factual=40)
    chosen = {row["qa_id"] for row in select_rows(given_rows, {"factual": 10}, None, seed=17)}
    assert {row["qa_id"] for row in select_rows(given_rows[::-1], {"factual": 10}, None, seed=17)} == chosen
    assert {row["qa_id"] for row in select_rows(given_rows, {"factual": 10}, None, seed=18)} != chosen


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(0, 9))
def test_turns_keep_every_item_and_never_serve_a_group_twice_before_another_once(groups: list[int], seed: int) -> None:
    items = list(enumerate(groups))
    ordered = in_turns(items, seed, lambda item: item[1], lambda item: item[0])
    assert sorted(ordered) == items
    served: Counter[int] = Counter()
    for _, group in ordered:
        waiting = {other for _, other in items if served[other] < Counter(groups)[other]}
        assert served[group] == min(served[other] for other in waiting)
        served[group] += 1
