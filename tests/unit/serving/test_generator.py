from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from qa_core.config import RetrievalSettings
from qa_core.generation.chat import SYSTEM_RAG, SYSTEM_STANDALONE, build_messages
from qa_core.schemas import Message, Passage
from serving.citing import cite, conflicts
from serving.prompting import Budget, conversation, fit_prompt
from serving.schemas.chat import ChatCompletionRequest
from serving.schemas.errors import ApiError


def passage(number: int, text: str = "A quorum is a majority.") -> Passage:
    return Passage(
        chunk_id=f"c{number}", doc_id="d", source="raft.md", title="Raft", section_path=("Quorums",),
        start_char=0, end_char=len(text), num_tokens=len(text.split()), density=0.5,
        prefix="Raft > Quorums", text=text,
    )  # fmt: skip


def request(*turns: tuple[str, str]) -> ChatCompletionRequest:
    messages = [{"role": role, "content": content} for role, content in turns]
    return ChatCompletionRequest.model_validate({"model": "lectern", "messages": messages})


def render(messages: Sequence[Message]) -> str:
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)


def budget(answer_tokens: int, n_ctx: int, context_tokens: int = 1000) -> Budget:
    return Budget(RetrievalSettings(context_tokens=context_tokens), answer_tokens, n_ctx)


def composed(asked: ChatCompletionRequest, passages: Sequence[Passage]) -> list[Message]:
    return conversation(asked, build_messages(asked.question, passages))


def words(text: str) -> int:
    return len(text.split())


def test_earlier_turns_come_before_the_question_and_its_passages() -> None:
    turns = [("user", "What is Raft?"), ("assistant", "A protocol."), ("user", "And a quorum?")]
    messages = composed(request(*turns), [passage(1)])
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[0]["content"] == SYSTEM_RAG
    assert messages[1]["content"] == "What is Raft?"
    assert messages[3]["content"].startswith("<sources>\n[1] Raft > Quorums")
    assert messages[3]["content"].endswith("And a quorum?")


def test_the_clients_instructions_follow_lecterns_in_one_system_turn() -> None:
    messages = composed(request(("system", "Speak plainly."), ("user", "What is Raft?")), [])
    assert messages[0] == {"role": "system", "content": f"{SYSTEM_STANDALONE}\n\nSpeak plainly."}
    assert len(messages) == 2


def test_the_lowest_ranked_passages_are_dropped_until_prompt_and_answer_fit() -> None:
    asked = request(("user", "What is a quorum?"))
    passages = [passage(n) for n in (1, 2, 3)]
    needed = words(render(composed(asked, passages[:2])))
    prompt, kept = fit_prompt(asked, passages, render, words, budget(answer_tokens=10, n_ctx=needed + 10))
    assert [one.chunk_id for one in kept] == ["c1", "c2"]
    assert words(prompt) == needed


def test_passages_have_a_budget_of_their_own_however_large_the_context_is() -> None:
    passages = [passage(n, "word " * 30) for n in (1, 2)]
    asked = request(("user", "What is a quorum?"))
    _, kept = fit_prompt(asked, passages, render, words, budget(answer_tokens=10, n_ctx=4096, context_tokens=40))
    assert [one.chunk_id for one in kept] == ["c1"]


def test_messages_that_fill_the_context_alone_are_refused_with_both_numbers() -> None:
    asked = request(("user", "word " * 100))
    with pytest.raises(ApiError) as caught:
        fit_prompt(asked, [passage(1)], render, words, budget(answer_tokens=10, n_ctx=64))
    assert caught.value.status == 400
    prompt_tokens = words(render(composed(asked, [])))
    assert f"{prompt_tokens} tokens" in str(caught.value)
    assert "64 tokens" in str(caught.value)


def test_only_passages_that_the_answer_marks_are_cited() -> None:
    passages = [passage(n) for n in (1, 2, 3)]
    cited = cite("A majority [3], which overlaps [1]. See [9].", passages)
    assert [(one.number, one.chunk_id) for one in cited] == [(3, "c3"), (1, "c1")]
    assert cite("No marks.", passages) == ()


def test_papers_that_disagree_are_named_with_their_sentences() -> None:
    ours = replace(passage(1, "So it is. A Raft quorum needs three votes in a cluster of five."), start_char=50)
    theirs = replace(passage(2, "A Raft quorum needs four votes in a cluster of five."), source="other.md")
    (found,) = conflicts("It needs three votes [1].", [ours, theirs])
    assert found.kind == "number"
    assert [(one.number, one.source, one.start_char, one.differs) for one in found.statements] == [
        (1, "raft.md", 60, "three votes"), (2, "other.md", 0, "four votes")
    ]  # fmt: skip
    assert [one.end_char - one.start_char for one in found.statements] == [len(one.text) for one in found.statements]
    assert conflicts("Nothing is marked.", [ours, theirs]) == ()


def test_the_best_passage_is_cut_where_the_messages_leave_it_little_room() -> None:
    asked = request(("user", "What is a quorum?"))
    long = passage(1, "A quorum is a majority of the servers, " * 30)
    bare = words(render(composed(asked, [])))
    prompt, kept = fit_prompt(asked, [long, passage(2)], render, words, budget(answer_tokens=10, n_ctx=bare + 60))
    assert words(prompt) + 10 <= bare + 60
    assert [one.chunk_id for one in kept] == ["c1"]
    assert 0 < len(kept[0].text) < len(long.text)
    assert long.text.startswith(kept[0].text)
    assert kept[0].text in prompt


def test_messages_that_leave_no_room_for_a_source_are_refused_rather_than_answered_without_one() -> None:
    asked = request(("user", "What is a quorum?"))
    length = words(render(composed(asked, [passage(1)])))
    with pytest.raises(ApiError, match=f"{length} tokens"):
        fit_prompt(asked, [passage(1)], render, words, budget(answer_tokens=10, n_ctx=length))
