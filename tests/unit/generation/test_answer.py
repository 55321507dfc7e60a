from __future__ import annotations

import pytest

from qa_core.config import RetrievalSettings
from qa_core.generation.answer import Answerer, compose
from qa_core.generation.chat import SYSTEM_RAG, SYSTEM_STANDALONE
from qa_core.generation.engine import Engine, SamplingParams
from qa_core.schemas import Passage


def passages(n: int) -> list[Passage]:
    return [
        Passage(f"c{i}", "d", "s.md", "Raft", ("Votes",), 0, 9, 2, 0.5, "Raft > Votes", f"Fact {i} of ten words " * 2)
        for i in range(n)
    ]


def words(text: str) -> int:
    return len(text.split())


def test_passages_that_do_not_fit_are_neither_shown_nor_citable_but_still_told_as_retrieved() -> None:
    found = passages(4)  # each takes 4 words of heading and 10 of text
    prepared = compose("Who votes?", found, RetrievalSettings(context_tokens=32), words)
    assert prepared.passages == found[:2]
    assert prepared.retrieved == found
    system, user = prepared.messages
    assert system["content"] == SYSTEM_RAG
    assert "Fact 1" in user["content"]
    assert "Fact 2" not in user["content"]
    assert user["content"].endswith("Who votes?")


def test_a_question_for_which_nothing_was_found_stands_alone() -> None:
    prepared = compose("Who votes?", [], RetrievalSettings(), words)
    assert [message["content"] for message in prepared.messages] == [SYSTEM_STANDALONE, "Who votes?"]


def test_questions_asked_together_get_the_answers_they_get_alone(engine: Engine) -> None:
    answerer = Answerer(engine, SamplingParams(max_tokens=8), RetrievalSettings())
    questions = ["Who votes?", "What is a term?", "Why?"]
    together = answerer.answer_all(questions, "standalone")
    assert together == [answerer.answer(question, "standalone") for question in questions]
    assert all(answer.prompt_tokens > 0 and answer.passages == [] and answer.cited == [] for answer in together)


def test_answering_from_passages_needs_a_retriever(engine: Engine) -> None:
    with pytest.raises(ValueError, match="needs a retriever"):
        Answerer(engine, SamplingParams(max_tokens=8), RetrievalSettings()).answer("Who votes?", "rag")
