"""The reader's training: what a branch sees, what the outline can do untrained, and going on after a stop."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from qa_core.errors import UserError
from qa_core.generation.chat import build_messages
from qa_core.training.tokenizer import TURN_END
from tools.reader import attention
from tools.reader.batches import Batcher
from tools.reader.contexts import Branch, Context, Course
from tools.reader.model import new_reader
from tools.reader.questions import Pupil
from tools.reader.training import Training, TrainingSettings, hidden_states

ONE_PASSAGE = Course(most_passages=1, reach=0, absent=0.0, taught=0.0, branches=4)


def reader(tokenizer: Any) -> Any:
    return new_reader(tokenizer, 6, 256, positions=2048, seed=1)


def batch_of(contexts: list[Context], tokenizer: Any) -> Any:
    return Batcher(tokenizer, text_share=0.1, whole=1.0, draw=random.Random(0))(contexts)


def test_a_branch_gets_the_logits_of_being_asked_alone(class_of_pupils: list[Pupil], tokenizer: Any) -> None:
    passages = tuple(pupil.lesson.passage for pupil in class_of_pupils[:2])
    asked = [Branch("Who starts an election?", "A follower [1]."), Branch("What is a ring?", "It is [2].")]
    short = Context(passages[:1], ((),), (Branch("Why?", "So [1]."),))
    batch = batch_of([Context(passages, ((), ()), tuple(asked)), short], tokenizer)
    model = reader(tokenizer)
    model.set_attn_implementation(attention.NAME)
    with torch.no_grad():
        together = hidden_states(model, batch)
    model.set_attn_implementation("sdpa")
    end = batch.spans[0][0]
    for branch, length in zip(asked, batch.spans[0][1:], strict=False):
        messages = [*build_messages(branch.question, passages), {"role": "assistant", "content": branch.answer}]
        ids = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False)
        with torch.no_grad():
            alone = model.model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        torch.testing.assert_close(
            together[end : end + length], alone[batch.spans[0][0] :][:length], rtol=1e-3, atol=1e-3
        )
        end += length


def test_what_is_learned_is_the_next_token_of_each_answer(class_of_pupils: list[Pupil], tokenizer: Any) -> None:
    branches = Branch("Why?", "So [1]."), Branch("How?", "Well [1].")
    context = Context((class_of_pupils[0].lesson.passage,), ((),), branches)
    batch = batch_of([context], tokenizer)
    assert tokenizer.decode(batch.answers_next.tolist()) == f"So [1].{TURN_END}Well [1].{TURN_END}"


def test_the_laid_in_heads_copy_a_repeated_sequence_before_any_training(tokenizer: Any) -> None:
    model = reader(tokenizer)
    tokens = torch.randperm(400, generator=torch.Generator().manual_seed(1))[:60]
    with torch.no_grad():
        logits = model(input_ids=torch.cat([tokens, tokens])[None]).logits[0, 60:-1]
    # The token itself is the likeliest in any untrained model with tied embeddings; among the others, the next one.
    logits[torch.arange(59), tokens[:-1]] = -torch.inf
    assert (logits.argmax(-1) == tokens[1:]).float().mean() > 0.5  # by chance it is one in five hundred


def test_a_stopped_training_goes_on_to_the_same_weights(
    class_of_pupils: list[Pupil], tokenizer: Any, tmp_path: Path
) -> None:
    settings = TrainingSettings(steps=4, contexts=1)

    def start(folder: str) -> Training:
        (tmp_path / folder).mkdir(exist_ok=True)
        return Training(reader(tokenizer), tokenizer, class_of_pupils, settings, tmp_path / folder)

    whole = start("whole")
    whole.run(lambda figures: None)

    def stop_at_two(figures: dict[str, float]) -> None:
        if figures["step"] == 2:
            stopped.save()
            raise KeyboardInterrupt

    stopped = start("stopped")
    with pytest.raises(KeyboardInterrupt):
        stopped.run(stop_at_two)
    resumed = start("stopped")
    assert resumed.step == 2
    resumed.run(lambda figures: None)
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], value, rtol=0, atol=0, msg=name)
    assert resumed.curve == whole.curve


def test_a_checkpoint_of_other_settings_is_refused(
    class_of_pupils: list[Pupil], tokenizer: Any, tmp_path: Path
) -> None:
    training = Training(reader(tokenizer), tokenizer, class_of_pupils, TrainingSettings(steps=2, contexts=1), tmp_path)
    training.run(lambda figures: None)
    with pytest.raises(UserError, match="was made with steps 2, not with steps 3"):
        Training(reader(tokenizer), tokenizer, class_of_pupils, TrainingSettings(steps=3, contexts=1), tmp_path)
