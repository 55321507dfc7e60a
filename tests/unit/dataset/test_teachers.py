from __future__ import annotations

from typing import Any

import pytest

from qa_core.config import GenerateQASettings, TemplateTeacher
from qa_core.dataset.checks import stands_alone
from qa_core.dataset.prompts import QUESTION_TYPES, prompt_version
from qa_core.dataset.teachers import Proposal, build_teacher

TITLE = "Raft Consensus: Terms and Elections"


def chunk(text: str, kind: str = "prose", start: int = 100) -> dict[str, Any]:
    return {
        "chunk_id": "c1",
        "doc_id": "d1",
        "source": "raft.md",
        "title": TITLE,
        "section_path": ["Elections"],
        "chunk_index": 0,
        "start_char": start,
        "end_char": start + len(text),
        "num_tokens": len(text) // 4,
        "kind": kind,
        "text": text,
    }


def ask(text: str, kind: str = "prose", per_chunk: int = 50) -> list[Proposal]:
    settings = GenerateQASettings(teacher=TemplateTeacher(questions_per_chunk=per_chunk))
    return build_teacher(settings, seed=17).propose(chunk(text, kind))


def questions(text: str) -> dict[str, str]:
    return {proposal.question: proposal.question_type for proposal in ask(text)}


@pytest.mark.parametrize(
    ("sentence", "question", "kind"),
    [
        ("A hash ring is a circle on which servers and keys are placed.", "What is a hash ring?", "factual"),
        (
            "A KV block holds 16 tokens by default in vLLM.",
            "How many tokens does a KV block hold by default in vLLM?",
            "factual",
        ),
        (
            "Hedging after 10 ms reduced nothing. Reducing the delay to 2 ms raises the chance of success to 0.948.",
            "To what value does reducing the delay to 2 ms raise the chance of success?",
            "factual",
        ),
        (
            "Ousterhout introduced the idea of coscheduling in 1982. As Ousterhout said, it works.",
            "Who introduced the idea of coscheduling in 1982?",
            "factual",
        ),
        (
            "Synchronous training needs gang scheduling at every scale, because each worker waits for all others.",
            "Why does synchronous training need gang scheduling at every scale?",
            "analytical",
        ),
        (
            "If one rank is late, then every other rank waits, because the operation has no timeout.",
            "If one rank is late, why does every other rank wait?",
            "analytical",
        ),
        (
            "Speculative decoding accelerates generation by letting a small model draft.",
            "How does speculative decoding accelerate generation?",
            "analytical",
        ),
        (
            "Unlike hedged requests, tied requests do not wait for a timeout.",
            "How do tied requests differ from hedged requests?",
            "comparative",
        ),
        (
            "Small chunks give precise matches, whereas large chunks keep more context.",
            "What is the difference between small chunks and large chunks?",
            "comparative",
        ),
        (
            "Cross-encoders are more accurate than bi-encoders because tokens of both texts interact.",
            "How do cross-encoders compare with bi-encoders?",
            "comparative",
        ),
        (
            "If a server receives a message with a larger term, then the server adopts that term.",
            "What happens if a server receives a message with a larger term?",
            "hypothetical",
        ),
        (
            "Removing a server moves only the keys of that server.",
            "What is the effect of removing a server?",
            "hypothetical",
        ),
    ],
)
def test_each_kind_of_sentence_gives_its_question(sentence: str, question: str, kind: str) -> None:
    assert questions(sentence).get(question) == kind


@pytest.mark.parametrize(
    "sentence",
    [
        "It is a policy that starts all tasks together.",
        "This rule is a policy that starts all tasks together.",
        "A quorum is a set that is listed in Table 2.",
        "A quorum is a set that is drawn in the figure above.",
        "A quorum is a set of servers with the following property: every two of them overlap.",
        "A quorum is a set of servers for which $$2q > n$$ holds.",
        "The retry gizmo frobnicates the cache, whichever it finds.",
    ],
)
def test_a_sentence_that_leans_on_another_place_is_not_asked_about(sentence: str) -> None:
    assert ask(sentence) == []


@pytest.mark.parametrize("kind", ["table", "code", "math", "references"])
def test_only_running_text_is_asked_about(kind: str) -> None:
    assert ask("A quorum is a set of servers that overlaps every other such set.", kind) == []


def test_the_evidence_points_at_the_sentence_in_the_document() -> None:
    text = "Nothing here. A hash ring is a circle on which servers and keys are placed [3]. More follows."
    (proposal,) = ask(text)
    (evidence,) = proposal.evidence
    start = 100 + text.index("A hash")
    assert (evidence.start_char, evidence.end_char) == (start, start + len(evidence.text))
    assert text[evidence.start_char - 100 : evidence.end_char - 100] == evidence.text
    assert evidence.text == "A hash ring is a circle on which servers and keys are placed [3]."


def test_reference_marks_do_not_reach_answers_where_they_would_read_as_citations() -> None:
    (proposal,) = ask("A hash ring is a circle on which servers and keys are placed [3], [4].")
    assert proposal.answer == "A hash ring is a circle on which servers and keys are placed."


def test_a_conclusion_is_answered_together_with_the_sentence_it_is_drawn_from() -> None:
    text = "Every worker waits for the slowest worker. Synchronous training is therefore fragile at a large scale."
    answers = {proposal.question: proposal.answer for proposal in ask(text)}
    assert answers["Why is synchronous training fragile at a large scale?"] == text


def test_a_question_about_the_something_names_the_topic_of_the_paper() -> None:
    found = questions("If the election fails, then a new term begins.")
    assert list(found) == ["In the context of Raft Consensus, what happens if the election fails?"]


def test_a_name_keeps_its_capital_and_a_common_word_loses_it() -> None:
    found = questions("Backfilling is a technique that fills holes. Later, Borg ran it. Borg is a system of managers.")
    assert "In the context of Raft Consensus, what is backfilling?" in found
    assert "What is Borg?" in found


def test_a_list_item_is_a_sentence_of_its_own() -> None:
    found = ask("Two states:\n\n- A follower is a server that only answers.\n- A leader is a server that decides.")
    assert {proposal.answer for proposal in found} == {
        "A follower is a server that only answers.",
        "A leader is a server that decides.",
    }


def test_proposals_do_not_depend_on_what_was_asked_before() -> None:
    one = chunk("A hash ring is a circle on which servers and keys are placed.")
    two = chunk("Small chunks give precise matches, whereas large chunks keep more context.")
    teacher = build_teacher(GenerateQASettings(), seed=17)
    forwards = [teacher.propose(row) for row in (one, two)]
    assert [teacher.propose(row) for row in (two, one)] == forwards[::-1]


def test_a_full_chunk_gives_questions_of_every_type_before_a_second_of_any() -> None:
    text = (
        "A hash ring is a circle on which servers are placed. A token tree is a tree that holds drafts. "
        "Synchronous training needs gang scheduling because every worker waits for every other worker. "
        "Small chunks give precise matches, whereas large chunks keep more context. "
        "If two machines fail together, then two copies are lost."
    )
    assert len(ask(text)) > 4
    assert {proposal.question_type for proposal in ask(text, per_chunk=4)} == set(QUESTION_TYPES)


def test_only_the_question_types_asked_for_are_proposed() -> None:
    teacher = build_teacher(GenerateQASettings(question_types=("analytical",)), seed=17)
    text = "A hash ring is a circle that holds keys. Long queues are bad for users because every request has to wait."
    assert {proposal.question_type for proposal in teacher.propose(chunk(text))} == {"analytical"}


def test_questions_from_clean_text_stand_alone() -> None:
    assert all(stands_alone(question) for question in questions("A hash ring is a circle on which keys are placed."))


def test_the_prompt_version_is_a_short_content_hash() -> None:
    assert prompt_version() == prompt_version()
    assert len(prompt_version()) == 12
