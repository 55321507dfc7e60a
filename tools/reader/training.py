"""The training of the reader: a course that gets harder, one AdamW, and a checkpoint that it goes on from."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from transformers import Qwen2ForCausalLM

from qa_core.errors import UserError
from qa_core.manifest import digest
from tools.reader import attention
from tools.reader.batches import Batch, Batcher
from tools.reader.contexts import Classroom, Course, Pupil
from tools.reader.guide import Guide

_WARMUP_STEPS = 60
_FALL = 1.5
"""Power of the share of the steps left that the learning rate falls with: at a high rate the heads that point stay
blurred."""
_TEXT_WEIGHT = 0.3
"""Of plain language modelling beside the answers."""
_POINTER_WEIGHT, _COPY_WEIGHT = 0.3, 1.0
"""Of each step in which a head is told where to look; the copying of a sentence to its end is learned last."""
_SECONDS_BETWEEN_CHECKPOINTS = 60.0


@dataclass(frozen=True)
class TrainingSettings:
    """What decides the result, given the text."""

    steps: int
    learning_rate: float = 5e-4
    contexts: int = 4
    """In one step."""
    whole_answers: float = 0.3
    """Share of the answers that are learned to their end."""
    course_from: float = 0.0
    """Share of the course that is taken as done."""
    text_share: float = 0.1
    seed: int = 0


def course_at(progress: float) -> Course:
    """One passage and first words at the beginning; three passages, any words and no answer at the end."""
    if progress < 0.1:
        return Course(most_passages=1, reach=2, absent=0.0, taught=0.4, branches=16)
    if progress < 0.2:
        return Course(most_passages=2, reach=6, absent=0.1)
    return Course(most_passages=3, reach=40, absent=0.2, short=0.5)


class Training:
    """One training run in ``folder``; another run in the same folder goes on where the last checkpoint was."""

    def __init__(
        self, model: Qwen2ForCausalLM, tokenizer: Any, pupils: Sequence[Pupil], settings: TrainingSettings, folder: Path
    ) -> None:
        self.model, self._settings = model, settings
        self._checkpoint = folder / "checkpoint.pt"
        self._made_of = {**asdict(settings), **_sizes(model), "passages": _digest(pupils)}
        model.set_attn_implementation(attention.NAME)
        _multiply_in_bf16(model)
        self._optimizer = _optimizer(model, settings.learning_rate)
        self._batcher = Batcher(tokenizer, settings.text_share, settings.whole_answers, random.Random(settings.seed))
        self._classroom = Classroom(pupils, random.Random(settings.seed + 1))
        self.step, self.seconds, self.tokens = 0, 0.0, 0
        self.curve: list[dict[str, float]] = []
        if self._checkpoint.is_file():
            self._restore()

    def run(self, on_step: Callable[[dict[str, float]], None]) -> None:
        """Train to the last step; ``on_step`` hears the figures of each."""
        self.model.train()
        saved = time.monotonic()
        while self.step < self._settings.steps:
            started = time.monotonic()
            figures = self._one_step()
            self.seconds += time.monotonic() - started
            on_step(figures)
            if time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS or self.step == self._settings.steps:
                self.save()
                saved = time.monotonic()
        self.model.eval()

    def _one_step(self) -> dict[str, float]:
        progress = self.step / self._settings.steps
        begun = self._settings.course_from
        course = course_at(begun + (1 - begun) * progress)
        batch = self._batcher([self._classroom.context(course) for _ in range(self._settings.contexts)])
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * _rate(self.step, progress)
        answers, text, pointers = losses(self.model, batch)
        weighted = [(_COPY_WEIGHT if step == "copy" else _POINTER_WEIGHT) * loss for step, loss in pointers.items()]
        (answers + _TEXT_WEIGHT * text + sum(weighted)).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.step += 1
        self.tokens += batch.ids.numel()
        figures = {"step": self.step, "answers": answers.item(), "text": text.item()}
        figures |= {name: loss.item() for name, loss in pointers.items()}
        self.curve.append(figures)
        return figures

    def save(self) -> None:
        state = {
            "made_of": self._made_of,
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "draws": (self._classroom.draw.getstate(), self._batcher.draw.getstate()),
            "done": (self.step, self.seconds, self.tokens, self.curve),
        }
        partial = self._checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self._checkpoint)

    def _restore(self) -> None:
        state = torch.load(self._checkpoint, weights_only=True)
        other = [name for name, value in self._made_of.items() if state["made_of"].get(name) != value]
        if other:
            was, now = (
                ", ".join(f"{name} {of.get(name)}" for name in other) for of in (state["made_of"], self._made_of)
            )
            raise UserError(
                f"{self._checkpoint} was made with {was}, not with {now}",
                "Give the same again, or another --work folder.",
            )
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        for draw, drawn in zip((self._classroom.draw, self._batcher.draw), state["draws"], strict=True):
            draw.setstate(drawn)
        self.step, self.seconds, self.tokens, self.curve = state["done"]


def _sizes(model: Qwen2ForCausalLM) -> dict[str, int]:
    config = model.config
    return {"layers": config.num_hidden_layers, "intermediate_size": config.intermediate_size}


def _digest(pupils: Sequence[Pupil]) -> str:
    """Of the passages that are learned from; their ids are hashes of their content."""
    return digest([pupil.lesson.passage.chunk_id for pupil in pupils])[:12]


def losses(model: Qwen2ForCausalLM, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Cross entropy (nats a token) of the answers, their first tokens weighing more, and of the passages; and what the
    steps of :mod:`tools.reader.guide` lose (nats a query)."""
    guide = Guide(batch.pointers, batch.spans)
    hidden = hidden_states(model, batch, guide)
    answers = F.cross_entropy(_logits(model, hidden[batch.answers]), batch.answers_next, reduction="none")
    text = F.cross_entropy(_logits(model, hidden[batch.text]), batch.text_next)
    return (answers * batch.weights).sum() / batch.weights.sum(), text, guide.losses


def hidden_states(model: Qwen2ForCausalLM, batch: Batch, guide: Guide | None = None) -> torch.Tensor:
    """float[rows * length, hidden] of the last layer; the model has branch attention."""
    outputs = model.model(
        input_ids=batch.ids,
        position_ids=batch.positions,
        attention_mask={"full_attention": None},  # the spans say it
        spans=batch.spans,
        guide=guide,
        use_cache=False,
    )
    return outputs.last_hidden_state.flatten(0, 1)


def _logits(model: Qwen2ForCausalLM, hidden: torch.Tensor) -> torch.Tensor:
    return F.linear(hidden.bfloat16(), model.lm_head.weight.bfloat16()).float()


def _multiply_in_bf16(model: Qwen2ForCausalLM) -> None:
    """Matrix products of the layers in bfloat16, everything else in float32.

    On a CPU with bfloat16 instructions a product takes a third of the time; autocast loses that again in the attention
    and the norms, which are slower in bfloat16 than in float32.
    """
    for layer in model.model.layers:
        for linear in (module for module in layer.modules() if isinstance(module, torch.nn.Linear)):
            linear.forward = partial(_bf16_product, linear)


def _bf16_product(linear: torch.nn.Linear, inputs: torch.Tensor) -> torch.Tensor:
    bias = None if linear.bias is None else linear.bias.bfloat16()
    return F.linear(inputs.bfloat16(), linear.weight.bfloat16(), bias).float()


def _optimizer(model: Qwen2ForCausalLM, rate: float) -> torch.optim.Optimizer:
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.dim() != 2 or "embed" in name]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


def _rate(step: int, progress: float) -> float:
    return min(1.0, (step + 1) / _WARMUP_STEPS) * (1 - progress) ** _FALL
