"""Heads are told where to look: at the right tokens, and only at what a token can see."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch

from qa_core.generation.chat import build_messages
from qa_core.schemas import Passage
from tools.reader import attention
from tools.reader.batches import Batcher
from tools.reader.contexts import Branch, Context
from tools.reader.guide import HEAD_OF_STEP, Guide, Pointers
from tools.reader.model import new_reader
from tools.reader.questions import Pupil
from tools.reader.sentences import copied_length, find_sentences, same_words, word_numbers
from tools.reader.training import hidden_states

LEADER = "The leader sends heartbeats to all followers because a silent leader would lose its office."
QUESTION = "Why does the Leader send heartbeats to followers?"


@pytest.fixture
def context(class_of_pupils: list[Pupil]) -> Context:
    pupils = class_of_pupils[::-1]
    holds = [number for number, pupil in enumerate(pupils, 1) if LEADER in pupil.lesson.sentences]
    return Context(
        tuple(pupil.lesson.passage for pupil in pupils),
        tuple(pupil.lesson.sentences for pupil in pupils),
        (
            Branch(QUESTION, f"{LEADER[:-1]} [{holds[0]}].", holds[0], LEADER),
            Branch("What is a snapshot?", "The sources do not answer this question."),
        ),
    )


def batch_of(context: Context, tokenizer: Any) -> Any:
    return Batcher(tokenizer, text_share=0.1, whole=1.0, draw=random.Random(0))([context])


def test_a_sentence_is_found_among_the_tokens_with_the_number_of_its_passage(context: Context, tokenizer: Any) -> None:
    prompt = build_messages("?", context.passages)[1]["content"]
    encoded = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
    found = find_sentences(prompt, encoded["offset_mapping"], context.sentences)
    assert [set(passage) for passage in found] == [set(sentences) for sentences in context.sentences]
    for number, passage in enumerate(found, start=1):
        for text, place in passage.items():
            said = tokenizer.decode(encoded["input_ids"][place.start : place.end])
            assert " ".join(said.split()) == text
            assert tokenizer.decode([encoded["input_ids"][place.number]]).strip(" [") == str(number)


def test_words_are_the_same_in_any_case_and_common_ones_point_nowhere(context: Context, tokenizer: Any) -> None:
    numbers = word_numbers(tokenizer)
    prompt = build_messages("?", context.passages)[1]["content"]
    encoded = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
    sentence = next(
        passage[LEADER]
        for passage in find_sentences(prompt, encoded["offset_mapping"], context.sentences)
        if LEADER in passage
    )
    asked = tokenizer(QUESTION, add_special_tokens=False)["input_ids"]
    words = [numbers[token] for token in encoded["input_ids"]]
    shared = same_words([numbers[token] for token in asked], words, sentence)
    said = {tokenizer.decode([asked[place]]).strip().lower() for place, _ in shared}
    assert "leader" in said
    assert "the" not in said
    for place, same in shared:
        for at in same:
            assert numbers[asked[place]] == words[at]
            assert sentence.start <= at < sentence.end


def test_the_answer_points_at_its_sentence_and_an_abstention_at_the_first_token(
    context: Context, tokenizer: Any
) -> None:
    batch = batch_of(context, tokenizer)
    first = batch.pointers[0]["first"]
    (beginning,) = first.targets[0].nonzero()[:, 0].tolist()
    said = tokenizer.decode(batch.ids[0, beginning - 2 : beginning + 1])
    assert LEADER.startswith(said.strip())
    assert first.targets[1].nonzero().tolist() == [[0]]
    # Both look from the places whose next token is the first of an answer.
    answers = batch.answers.tolist()
    starts = [place for place in answers if place - 1 not in answers]
    assert first.queries.tolist() == starts
    assert batch.pointers[0]["second"].queries.tolist() == [place + 1 for place in starts]


def test_each_token_of_the_answer_points_at_the_next_and_the_bracket_at_the_sentence(
    context: Context, tokenizer: Any
) -> None:
    batch = batch_of(context, tokenizer)
    copy, cite = batch.pointers[0]["copy"], batch.pointers[0]["cite"]
    for query, targets in zip(copy.queries.tolist(), copy.targets, strict=True):
        (place,) = targets.nonzero()[:, 0].tolist()
        assert batch.ids[0, place] == batch.ids[0, query + 1]
    assert tokenizer.decode(batch.ids[0, cite.queries]).strip() == "["
    assert cite.targets.tolist() == batch.pointers[0]["first"].targets[:1].tolist()


def test_each_token_of_the_answer_but_its_first_points_at_the_beginning_of_its_own_sentence(
    context: Context, tokenizer: Any
) -> None:
    batch = batch_of(context, tokenizer)
    copy, sentence = batch.pointers[0]["copy"], batch.pointers[0]["sentence"]
    start = batch.pointers[0]["first"].queries[0].item() + 1
    own = [row for row, query in enumerate(sentence.queries.tolist()) if query >= start]
    assert sentence.queries[own].tolist() == copy.queries.tolist()[2:]
    assert sentence.targets[own].nonzero()[:, 1].tolist() == [start + 2] * len(own)


def test_an_answer_cut_behind_its_bracket_points_at_nothing_outside_its_branch(tokenizer: Any) -> None:
    for words in range(1, 9):
        text = " ".join(["votes", "term", "log", "leader", "ring", "key", "node", "server"][:words])
        passage = Passage("c", "d", "p.md", "P", ("P",), 0, len(text) + 1, 5, 0.5, "P", f"{text}.")
        row = Context((passage,), ((f"{text}.",),), (Branch(f"What is {text}?", f"{text} [1].", 1, f"{text}."),) * 2)
        batch = Batcher(tokenizer, text_share=0.0, whole=0.0, draw=random.Random(0))([row])
        for step in ("cite", "gather"):
            if pointers := batch.pointers[0].get(step):
                segments = torch.repeat_interleave(torch.arange(len(batch.spans[0])), torch.tensor(batch.spans[0]))
                for query, targets in zip(pointers.queries, pointers.targets, strict=True):
                    assert set(segments[targets].tolist()) <= {0, segments[query].item()}, (words, step)


def test_copying_ends_where_the_answer_goes_its_own_way() -> None:
    assert copied_length([9, 2, 3, 7], [1, 2, 3, 4]) == 3  # the first token may lack its space
    assert copied_length([1, 2], [1, 2, 3]) == 2


def test_a_step_loses_nothing_where_its_head_looks_right_and_counts_no_other_branch() -> None:
    query, key = torch.zeros(1, 4, 6, 2), torch.zeros(1, 4, 6, 2)
    query[0, :, 5] = 1.0
    key[0, :, 1] = 100.0  # the target
    key[0, :, 3] = 1e6  # in the branch of another question: a prompt of three, and branches of one and two
    pointers = Pointers.of([(5, [1])], 6)
    guide = Guide([{"first": pointers}], [[3, 1, 2, 0]])
    guide.hear(HEAD_OF_STEP["first"][0], query, key, 1.0)
    assert guide.losses["first"].item() == pytest.approx(0.0, abs=1e-6)
    guide.hear(HEAD_OF_STEP["first"][0], query, torch.zeros_like(key), 1.0)
    assert guide.losses["first"].item() == pytest.approx(math.log(5))  # three of the prompt and two of its own


def test_before_any_training_words_and_sentences_are_found_better_than_by_chance(
    context: Context, tokenizer: Any
) -> None:
    batch = batch_of(context, tokenizer)
    model = new_reader(tokenizer, 6, 256, positions=2048, seed=1)
    model.set_attn_implementation(attention.NAME)
    guide = Guide(batch.pointers, batch.spans)
    with torch.no_grad():
        hidden_states(model, batch, guide)
    assert set(guide.losses) == set(HEAD_OF_STEP)
    chance = math.log(batch.spans[0][0])
    assert guide.losses["word"] < chance / 2
    assert guide.losses["sentence"] < chance - 1


def test_brackets_inside_a_passage_are_not_the_header_of_the_next() -> None:
    first = "We set a[2] = x in the first of all the steps."
    prompt = f"<sources>\n[1] One\n{first}\n\n[2] Two\nThe second passage has a sentence.\n</sources>"
    offsets = [(place, place + 1) for place in range(len(prompt))]  # a token a character
    found = find_sentences(prompt, offsets, [(first, "The second passage has a sentence."), (first,)])
    assert list(found[0]) == [first]  # what stands in another passage is not found in this one
    assert found[1] == {}
    assert prompt[found[0][first].number] == "1"
