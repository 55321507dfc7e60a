"""Which passages a row is shown, and what it teaches the model to say about them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from qa_core.config import ContextSettings
from qa_core.dataset.conversations import assign, converse
from qa_core.generation.chat import ABSTENTION, SYSTEM_RAG, build_messages, cited_numbers, strip_citations
from qa_core.schemas import Passage

ALWAYS = ContextSettings(shown=1.0, without_gold=0.0)
NEVER = ContextSettings(shown=0.0, without_gold=0.0)
HIDDEN = ContextSettings(shown=1.0, without_gold=1.0)


def passage(chunk_id: str, text: str = "", title: str = "Title") -> Passage:
    text = text or f"Passage text {chunk_id}."
    return Passage(
        chunk_id, f"paper of {chunk_id}", "d.md", title, ("Section",), 0, len(text), 5, 0.5, f"{title} > Section", text
    )


OTHERS = [passage(f"x{number}") for number in range(6)]
RAFT = passage("c1", "In Raft a leader needs votes from a majority of the servers. Terms only grow.", "Raft")
CHORD = passage("c2", "In Chord each node keeps a table of log N fingers. Lookups take log N hops.", "Chord")


def span(of: Passage, text: str) -> dict[str, Any]:
    start = of.text.index(text)
    return {"chunk_id": of.chunk_id, "text": text, "start_char": start, "end_char": start + len(text)}


def row(qa_id: str = "q0", answer: str = "A leader needs votes from a majority of the servers.", **values: Any) -> Any:
    return {
        "qa_id": qa_id, "doc_id": "d", "chunk_ids": ["c1"], "question_type": "factual", "question": "What is needed?",
        "answer": answer, "evidence": [span(RAFT, "a leader needs votes from a majority of the servers")],
        "answerable": True, **values,
    }  # fmt: skip


def answer_of(*conversation: Any) -> str:
    return conversation[1][-1]["content"]


def test_a_row_without_passages_is_question_and_answer_and_nothing_more() -> None:
    ids, messages = converse(row(), [RAFT], OTHERS, NEVER, 3, 7)
    assert ids == []
    assert messages[:-1] == build_messages("What is needed?")
    assert messages[-1] == {"role": "assistant", "content": row()["answer"]}


def test_a_row_with_passages_shows_the_gold_one_among_the_nearest_others_and_cites_it() -> None:
    for number in range(30):
        ids, messages = converse(row(f"q{number}"), [RAFT], OTHERS, ALWAYS, 3, 7)
        assert sorted(ids) == ["c1", "x0", "x1"]
        shown = {one.chunk_id: one for one in [RAFT, *OTHERS]}
        assert messages[:-1] == build_messages("What is needed?", [shown[chunk_id] for chunk_id in ids])
        assert cited_numbers(answer_of(ids, messages), 3) == [ids.index("c1") + 1]


def test_the_gold_passage_stands_in_every_place() -> None:
    places = [converse(row(f"q{number}"), [RAFT], OTHERS, ALWAYS, 3, 7)[0].index("c1") for number in range(60)]
    assert all(places.count(place) > 8 for place in range(3))


def test_an_answer_in_the_passages_own_words_is_cited_and_not_quoted() -> None:
    answer = answer_of(*converse(row(), [RAFT], [], ALWAYS, 3, 7))
    assert answer == "A leader needs votes from a majority of the servers [1]."


def test_an_answer_in_other_words_quotes_the_shortest_evidence_once() -> None:
    evidence = [span(RAFT, RAFT.text), span(RAFT, "a majority of the servers")]
    answer = answer_of(*converse(row(answer="More than half must agree.", evidence=evidence), [RAFT], [], ALWAYS, 3, 7))
    assert answer == 'More than half must agree [1].\n\n[1] "a majority of the servers"'
    assert strip_citations(answer) == "More than half must agree."


def test_a_share_of_the_rows_is_shown_passages_and_of_those_a_share_lacks_the_right_one() -> None:
    settings = ContextSettings(shown=0.75, without_gold=0.2)
    made = [converse(row(f"q{number}"), [RAFT], OTHERS, settings, 3, 7) for number in range(1000)]
    shown = [conversation for conversation in made if conversation[0]]
    hidden = [conversation for conversation in shown if "c1" not in conversation[0]]
    assert 0.70 < len(shown) / 1000 < 0.80
    assert 0.15 < len(hidden) / len(shown) < 0.25
    assert {answer_of(*conversation) for conversation in hidden} == {ABSTENTION}
    assert all(len(ids) == 3 and messages[0]["content"] == SYSTEM_RAG for ids, messages in hidden)


def test_the_draw_depends_on_id_and_seed_and_on_nothing_else() -> None:
    settings = ContextSettings(shown=0.5, without_gold=0.5)
    rows = [row(f"q{number}") for number in range(40)]
    made = [converse(one, [RAFT], OTHERS, settings, 3, 7) for one in rows]
    edited = [converse({**one, "question": "Else?", "answer": "No."}, [RAFT], OTHERS, settings, 3, 7) for one in rows]
    assert [ids for ids, _ in made] == [ids for ids, _ in edited]
    assert made == [converse(one, [RAFT], OTHERS, settings, 3, 7) for one in reversed(rows)][::-1]
    assert made != [converse(one, [RAFT], OTHERS, settings, 3, 8) for one in rows]


def test_a_distractor_that_holds_the_evidence_is_never_shown() -> None:
    neighbour = passage("n1", "...Terms only grow. A leader needs votes\nfrom a majority of the SERVERS, as said.")
    for settings in (ALWAYS, HIDDEN):
        ids, _ = converse(row(), [RAFT], [neighbour, RAFT, *OTHERS], settings, 3, 7)
        assert "n1" not in ids
        assert len(ids) == 3
    assert "c1" not in ids


def test_a_distractor_shows_only_what_the_right_passage_does_not_say() -> None:
    end = len(RAFT.text)
    shared = RAFT.text.index("Terms only grow.")
    text = "Terms only grow. A log is never rewritten."
    neighbour = replace(RAFT, chunk_id="n1", text=text, start_char=shared, end_char=shared + len(text))
    inside = replace(RAFT, chunk_id="n2", text="Terms only grow.", start_char=shared, end_char=end)
    ids, messages = converse(row(), [RAFT], [inside, neighbour, *OTHERS], ALWAYS, 2, 7)
    assert sorted(ids) == ["c1", "n1"]
    assert messages[1]["content"].count("Terms only grow.") == 1
    assert "A log is never rewritten." in messages[1]["content"]


def test_without_any_distractor_the_right_passage_is_never_hidden() -> None:
    ids, messages = converse(row(), [RAFT], [], HIDDEN, 3, 7)
    assert ids == ["c1"]
    assert cited_numbers(answer_of(ids, messages), 1) == [1]


def test_an_unanswerable_row_always_shows_its_passage_and_abstains_in_its_own_words() -> None:
    unanswerable = row(answer="It is not stated how fast.", answerable=False)
    for settings in (NEVER, ALWAYS, HIDDEN):
        ids, messages = converse(unanswerable, [RAFT], OTHERS, settings, 3, 7)
        assert "c1" in ids
        assert answer_of(ids, messages) == "It is not stated how fast."


def test_more_gold_passages_than_top_k_are_all_shown() -> None:
    evidence = [span(RAFT, RAFT.text), span(CHORD, CHORD.text)]
    both = row(chunk_ids=["c1", "c2"], evidence=evidence)
    assert sorted(converse(both, [RAFT, CHORD], OTHERS, ALWAYS, 1, 7)[0]) == ["c1", "c2"]


def comparative(answer: str) -> Any:
    evidence = [
        span(RAFT, "a leader needs votes from a majority of the servers"),
        span(CHORD, "each node keeps a table of log N fingers"),
    ]
    return row(answer=answer, chunk_ids=["c1", "c2"], question_type="comparative", evidence=evidence)


@pytest.mark.parametrize(
    "answer",
    [
        "In Raft a leader needs votes{}, whereas in Chord a node keeps fingers{}.",
        "Raft asks a majority of the servers{}. Chord keeps a table on each node{}.",
    ],
)
def test_each_claim_of_a_comparison_is_cited_with_its_own_passage(answer: str) -> None:
    for number in range(10):
        row = {**comparative(answer.format("", "")), "qa_id": f"q{number}"}
        ids, messages = converse(row, [RAFT, CHORD], OTHERS, ALWAYS, 3, 7)
        given = answer_of(ids, messages)
        marks = [f" [{ids.index(chunk_id) + 1}]" for chunk_id in ("c1", "c2")]
        assert given.split("\n")[0] == answer.format(*marks)
        assert given.count('"') == 4, "both passages are quoted, as both claims are in other words"


def test_claims_that_nobody_can_tell_apart_are_cited_together_at_the_end() -> None:
    answer = "One needs agreement. The other does not."
    ids, messages = converse(comparative(answer), [RAFT, CHORD], [], ALWAYS, 3, 7)
    assert answer_of(ids, messages).split("\n")[0] == "One needs agreement. The other does not [1][2]."


def test_a_passage_is_never_left_without_a_mark() -> None:
    texts = {1: ["a leader needs votes"], 3: ["each node keeps fingers"]}
    answer = "A leader needs votes. A leader counts votes."
    assert assign(answer, texts) == [(answer, [1, 3])]


def test_a_claim_about_both_carries_both_marks() -> None:
    texts = {1: ["a leader needs votes"], 3: ["each node keeps fingers"]}
    claims = assign("A leader needs votes. Each node keeps fingers. No leader, no node.", texts)
    assert [numbers for _, numbers in claims] == [[1], [3], [1, 3]]


def test_a_papers_own_reference_marks_do_not_become_citations() -> None:
    text = "Fingers were introduced by Stoica [2] and by others [1]."
    paper = passage("c9", text)
    marked = row(answer=text, chunk_ids=["c9"], evidence=[span(paper, text)])
    ids, messages = converse(marked, [paper], OTHERS, ALWAYS, 3, 7)
    assert cited_numbers(answer_of(ids, messages), 3) == [ids.index("c9") + 1]
    assert "[" not in answer_of(*converse(marked, [paper], OTHERS, NEVER, 3, 7))


def test_a_row_whose_passages_are_not_all_given_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="c1"):
        converse(row(), [], OTHERS, ALWAYS, 3, 7)
