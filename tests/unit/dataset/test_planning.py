from __future__ import annotations

import pytest

from qa_core.config import EndpointTeacher, GenerateQASettings
from qa_core.dataset.planning import Demand, Sites, build_requests, by_source, prompt_budget, sites_to_ask
from qa_core.dataset.requests import Source, shorten


def chunk(
    number: int, paper: str = "a", text: str = "Ring all-reduce is optimal. It needs two passes."
) -> dict[str, object]:
    return {
        "chunk_id": f"{paper}{number}", "doc_id": paper, "title": f"Paper {paper}", "kind": "prose", "prefix": "",
        "start_char": 100 * number, "text": text,
    }  # fmt: skip


SETTINGS = GenerateQASettings(teacher=EndpointTeacher(engine="openai", model="m"), questions_per_request=2)


def words(text: str) -> int:
    return len(text.split())


def test_a_first_round_asks_what_the_expected_yield_needs_and_no_more_than_there_is() -> None:
    sites = Sites.of([chunk(i) for i in range(30)], [], ["factual", "numeric"], seed=1)
    assert sites_to_ask(Demand({"factual": 10, "numeric": 500}), sites, SETTINGS) == {"factual": 12, "numeric": 30}


def test_a_later_round_asks_by_the_yield_of_the_earlier_ones() -> None:
    sites = Sites.of([chunk(i) for i in range(300)], [], ["factual"], seed=1)
    poor = Demand({"factual": 10}, asked={"factual": 40}, accepted={"factual": 4})
    rich = Demand({"factual": 10}, asked={"factual": 40}, accepted={"factual": 60})
    assert 90 <= sites_to_ask(poor, sites, SETTINGS)["factual"] <= 110
    assert 6 <= sites_to_ask(rich, sites, SETTINGS)["factual"] <= 9


def test_a_met_quota_asks_for_nothing() -> None:
    sites = Sites.of([chunk(i) for i in range(30)], [], ["factual"], seed=1)
    assert sites_to_ask(Demand({"factual": 0}), sites, SETTINGS) == {"factual": 0}


def test_papers_take_turns_and_every_type_follows_the_same_order_of_passages() -> None:
    sites = Sites.of([chunk(i, paper) for paper in "ab" for i in range(9)], [], ["factual", "numeric"], seed=1)
    papers = [site[0]["doc_id"] for site in sites.of_type["factual"]]
    assert {papers[0], papers[1]} == {"a", "b"}
    assert sites.of_type["factual"] == sites.of_type["numeric"]


def test_comparative_questions_are_asked_of_pairs_only() -> None:
    pair = (chunk(0, "a"), chunk(0, "b"))
    sites = Sites.of([pair[0], pair[1]], [pair], ["comparative", "factual"], seed=1)
    requests, _ = build_requests(sites.of_type, SETTINGS, {"engine": "openai"}, None)  # type: ignore[arg-type]
    assert [len(request.sources) for request in requests if request.question_type == "comparative"] == [2]
    assert {len(request.sources) for request in requests if request.question_type == "factual"} == {1}


def test_requests_about_one_passage_follow_each_other_and_begin_alike() -> None:
    sites = Sites.of([chunk(i, paper) for paper in "ab" for i in range(4)], [], ["factual", "numeric"], seed=1)
    requests, _ = build_requests(sites.of_type, SETTINGS, {"engine": "openai"}, words)  # type: ignore[arg-type]
    places = [request.sources[0].chunk_id for request in requests]
    assert places == sorted(places)
    first, second = (request.messages[1]["content"] for request in requests[:2])
    assert first.partition("</passage")[0] == second.partition("</passage")[0]


def test_the_same_request_has_the_same_id_and_another_teacher_or_wording_another() -> None:
    sites = {"factual": [(chunk(0),)]}
    ask = lambda identity: build_requests(sites, SETTINGS, identity, None)[0][0].request_id  # type: ignore[arg-type]  # noqa: E731
    assert ask({"model": "m"}) == ask({"model": "m"})
    assert ask({"model": "m"}) != ask({"model": "n"})


def test_a_passage_too_long_for_the_context_is_cut_after_a_sentence() -> None:
    long = chunk(0, text=" ".join(f"Sentence number {i} ends here." for i in range(2000)))
    (request,), unaskable = build_requests({"factual": [(long,)]}, SETTINGS, {}, words)
    assert unaskable == []
    assert request.sources[0].text.endswith("ends here.")
    assert sum(words(turn["content"]) for turn in request.messages) <= prompt_budget(SETTINGS)
    assert len(request.sources[0].text) > 1000


def test_a_passage_of_which_not_one_sentence_fits_is_left_out_and_named() -> None:
    endless = chunk(0, text="word " * 20000)
    requests, unaskable = build_requests({"factual": [(endless,)]}, SETTINGS, {}, words)
    assert requests == []
    assert [site.sources[0].chunk_id for site in unaskable] == ["a0"]


@pytest.mark.parametrize("kind", ["table", "code", "list", "math"])
def test_rows_of_a_table_are_never_torn(kind: str) -> None:
    rows = "\n".join(f"| {i} | value {i}. and more |" for i in range(50))
    source = Source("c", "d", "T", kind, "", 0, rows)
    cut = shorten(source, 60, words)
    assert cut is not None
    assert cut.text == "\n".join(rows.split("\n")[: cut.text.count("\n") + 1])
    assert words(cut.text) <= 60


def test_sorting_by_source_does_not_depend_on_the_order_given() -> None:
    sites = Sites.of([chunk(i) for i in range(5)], [], ["factual", "numeric"], seed=1)
    requests, _ = build_requests(sites.of_type, SETTINGS, {}, None)  # type: ignore[arg-type]
    assert by_source(requests[::-1]) == requests
