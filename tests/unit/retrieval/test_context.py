from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from qa_core.config import RetrievalSettings
from qa_core.generation.chat import format_passage
from qa_core.retrieval.context import fit_to_budget
from qa_core.schemas import Passage


def words(text: str) -> int:
    return len(text.split())


def budget(tokens: int) -> RetrievalSettings:
    return RetrievalSettings(context_tokens=tokens)


def test_lower_ranked_passages_are_dropped_first(passage: Callable[..., Passage]) -> None:
    # heading "[n] Raft > Elections" is 4 words, so each passage takes 14
    passages = [passage(str(i), text="word " * 9 + "end") for i in range(4)]
    assert fit_to_budget(passages, budget(42), words) == passages[:3]
    assert fit_to_budget(passages, budget(41), words) == passages[:2]


def test_what_fits_is_kept_as_it_is(passage: Callable[..., Passage]) -> None:
    passages = [passage("a"), passage("b")]
    assert fit_to_budget(passages, budget(500), words) == passages


def test_no_passages_need_no_budget() -> None:
    assert fit_to_budget([], budget(32), words) == []


def test_a_long_passage_never_lets_a_lower_ranked_one_overtake_it(passage: Callable[..., Passage]) -> None:
    passages = [passage("a"), passage("long", text="word " * 100), passage("c")]
    assert [p.chunk_id for p in fit_to_budget(passages, budget(60), words)] == ["a"]


def test_the_best_passage_is_cut_after_a_word_rather_than_lost(passage: Callable[..., Passage]) -> None:
    text = "one two\nthree  four. " * 50
    (cut,) = fit_to_budget([passage("a", text=text)], budget(32), words)
    assert words(format_passage(1, cut)) == 32
    assert text.startswith(cut.text)
    assert text[len(cut.text)].isspace()
    assert cut.end_char == cut.start_char + len(cut.text)
    assert cut.num_tokens == words(cut.text)


def test_a_heading_beyond_the_budget_leaves_no_passage(passage: Callable[..., Passage]) -> None:
    assert fit_to_budget([passage("a", prefix="very " * 40)], budget(32), words) == []


@given(st.lists(st.text(alphabet="ab \n", max_size=200), max_size=5), st.integers(32, 120))
def test_the_budget_is_never_exceeded(texts: list[str], tokens: int) -> None:
    passages = [
        Passage("c", "d", "s.md", "Title", ("Section",), 0, len(text), 1, 0.5, "Title > Section", text)
        for text in texts
    ]  # fmt: skip
    kept = fit_to_budget(passages, budget(tokens), len)
    assert len("".join(format_passage(n, p) + "\n\n" for n, p in enumerate(kept, start=1))) <= tokens
