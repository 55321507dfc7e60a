"""What the model answers to a few validation questions while it learns, for people to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from qa_core.training.answers import greedy_answers, last_turn
from qa_core.training.hooks import checkpoint_folder
from qa_core.training.sft import TrainingExample

SAMPLES_FILE = "samples.json"
"""In every checkpoint folder."""

_MAX_NEW_TOKENS = 64


@dataclass(frozen=True)
class Sample:
    """One greedy answer at one evaluation."""

    step: int
    qa_id: str
    question: str
    """The prompt's last line, without special tokens."""
    wanted: str
    answer: str


Viewer = Callable[[Sequence[Sample]], None]


class SampleAnswers(TrainerCallback):
    """Asks at every evaluation, on rank 0; the answers so far are part of each checkpoint."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        examples: Sequence[TrainingExample],
        workdir: Path,
        resume_from: Path | None,
        viewers: Sequence[Viewer] = (),
    ) -> None:
        """
        Args:
            viewers: are shown, on rank 0, all answers of the run after each evaluation.
        """
        self._viewers = viewers
        self._model = model
        self._tokenizer = tokenizer
        self._examples = examples
        self._workdir = workdir
        self.samples: list[Sample] = []
        if resume_from is not None and (resume_from / SAMPLES_FILE).is_file():
            told = json.loads((resume_from / SAMPLES_FILE).read_text(encoding="utf-8"))
            self.samples = [Sample(**sample) for sample in told]

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero and self._examples:
            self.samples += self._ask(state.global_step)
            for show in self._viewers:
                show(self.samples)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero and self.samples:
            told = json.dumps([asdict(sample) for sample in self.samples])
            (checkpoint_folder(self._workdir, state) / SAMPLES_FILE).write_text(told, encoding="utf-8")

    def _ask(self, step: int) -> list[Sample]:
        turns = [last_turn(example) for example in self._examples]
        answers = greedy_answers(self._model, [prompt for prompt, _ in turns], _MAX_NEW_TOKENS)
        asked = zip(self._examples, turns, answers, strict=True)
        return [
            Sample(step, example.qa_id, self._question(prompt), self._text(wanted), self._text(answer))
            for example, (prompt, wanted), answer in asked
        ]

    def _question(self, prompt: Sequence[int]) -> str:
        """The last line before the one that names the assistant."""
        lines = self._text(prompt).splitlines()
        return lines[-2] if len(lines) > 1 else lines[-1]

    def _text(self, token_ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(token_ids, skip_special_tokens=True)).strip()


def samples_page(samples: Sequence[Sample]) -> str:
    """The samples as markdown: a question, what was wanted, and how the answer changed."""
    lines = ["# Answers to validation questions during training", ""]
    for qa_id in dict.fromkeys(sample.qa_id for sample in samples):
        asked = [sample for sample in samples if sample.qa_id == qa_id]
        lines += [f"## {asked[0].question}", "", f"Row `{qa_id}`, wanted: {_one_line(asked[0].wanted)}", ""]
        lines += [f"- step {sample.step}: {_one_line(sample.answer) or '(nothing)'}" for sample in asked]
        lines += [""]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())
