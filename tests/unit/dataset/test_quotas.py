from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from qa_core.dataset.quotas import Row, drop_duplicates, even_shares, select_rows

TYPES = ("factual", "analytical", "comparative", "hypothetical")


def rows(**counts: int) -> list[Row]:
    return [
        {
            "qa_id": f"{kind}-{number}",
            "question_type": kind,
            "doc_id": f"doc-{number % 4}",
            "question": f"{kind} {number}?",
        }
        for kind, count in counts.items()
        for number in range(count)
    ]


def test_a_scarce_type_leaves_its_share_to_the_others() -> None:
    assert even_shares({"factual": 100, "analytical": 100, "comparative": 3, "hypothetical": 20}, 63) == {
        "factual": 20,
        "analytical": 20,
        "comparative": 3,
        "hypothetical": 20,
    }


@given(st.dictionaries(st.sampled_from(TYPES), st.integers(0, 50), min_size=1), st.integers(1, 150))
def test_shares_add_up_to_the_target_or_to_all_there_is(available: dict[str, int], target: int) -> None:
    shares = even_shares(available, target)
    assert sum(shares.values()) == min(target, sum(available.values()))
    assert all(0 <= shares[name] <= available[name] for name in available)


def test_the_target_is_spread_over_types_and_then_over_papers() -> None:
    kept = select_rows(rows(factual=40, analytical=40, comparative=40, hypothetical=40), 32, TYPES, seed=17)
    assert Counter(row["question_type"] for row in kept) == dict.fromkeys(TYPES, 8)
    assert Counter((row["question_type"], row["doc_id"]) for row in kept).most_common()[0][1] == 2


def test_everything_is_kept_in_order_when_the_target_is_not_reached() -> None:
    given_rows = rows(factual=5, comparative=2)
    assert select_rows(given_rows, 100, TYPES, seed=17) == given_rows


def test_the_choice_depends_on_the_seed_and_not_on_the_order() -> None:
    given_rows = rows(factual=40)
    chosen = {row["qa_id"] for row in select_rows(given_rows, 10, TYPES, seed=17)}
    assert {row["qa_id"] for row in select_rows(given_rows[::-1], 10, TYPES, seed=17)} == chosen
    assert {row["qa_id"] for row in select_rows(given_rows, 10, TYPES, seed=18)} != chosen


def test_the_same_question_in_other_clothes_is_a_duplicate() -> None:
    same = [{"question": text} for text in ("What is a quorum?", "what is  the quorum", "What is a term?")]
    kept, dropped = drop_duplicates(same)
    assert [row["question"] for row in kept] == ["What is a quorum?", "What is a term?"]
    assert [row["question"] for row in dropped] == ["what is  the quorum"]
