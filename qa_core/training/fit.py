"""One training run, with transformers' Trainer: the same code on a CPU and on GPUs, alone or as one rank of a group.

A run that is killed and resumed from a checkpoint ends with the same bytes: the order of rows is a list made from the
seed, and dropout is seeded anew for each micro-batch, so no state of a random generator has to survive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from peft import PeftModel
from peft.utils.save_and_load import load_peft_weights, set_peft_model_state_dict
from transformers import PrinterCallback, TrainerState, TrainingArguments

from qa_core.config import FinetuneSettings
from qa_core.training.batches import PackedCollator, PackedDataset, PackedPlan
from qa_core.training.best import BestAdapter, best_step, is_finished
from qa_core.training.calibration import Calibration, Tell
from qa_core.training.hooks import STATE_FILE, Hooks, OnCheckpoint, OnStep, losses_of
from qa_core.training.preflight import require_trainable
from qa_core.training.qlora import compute_dtype, load_quantized, load_tokenizer, with_adapter
from qa_core.training.samples import Sample, SampleAnswers
from qa_core.training.sft import TrainingExample
from qa_core.training.tracking import trackers
from qa_core.training.trainer import PackedTrainer

_LOGGING_STEPS = 10


@dataclass(frozen=True)
class FitResult:
    """A trained adapter and what happened on the way."""

    model: PeftModel
    history: tuple[dict[str, float], ...]
    """Every logged loss and every evaluation, in order, from the first step of the run (resumed or not)."""
    tokens: int
    """Tokens that the optimiser saw, prompts included."""
    packed: float
    """Share of the bins' room that these tokens took."""
    samples: tuple[Sample, ...]
    """Answers to validation questions at each evaluation; on rank 0 only."""

    @property
    def metrics(self) -> dict[str, float | int]:
        """The figures for manifest and model card; equal for resumed and uninterrupted runs."""
        train = [entry["loss"] for entry in self.history if "loss" in entry]
        evaluation = [entry["eval_loss"] for entry in self.history if "eval_loss" in entry]
        trainable, total = self.model.get_nb_trainable_parameters()
        figures: dict[str, float | int] = {
            "train_loss_first": train[0],
            "train_loss_last": train[-1],
            "tokens": self.tokens,
            "packed": self.packed,
            "trainable_parameters": trainable,
            "parameters": total,
        }
        if evaluation:
            figures |= {
                "eval_loss_first": evaluation[0],
                "eval_loss_best": min(evaluation),
                "eval_loss_last": evaluation[-1],
                "best_step": best_step(self.history),
            }
        return figures


@dataclass
class TrackedArguments(TrainingArguments):
    """Arguments as transformers hands them to every tracker, and where a run came from."""

    data_fingerprint: str = field(default="")
    git_commit: str = field(default="")


def fit(
    location: str,
    train: Sequence[TrainingExample],
    validation: Sequence[TrainingExample],
    settings: FinetuneSettings,
    seed: int,
    workdir: Path,
    *,
    resume_from: Path | None = None,
    on_step: OnStep | None = None,
    on_checkpoint: OnCheckpoint | None = None,
    tell: Tell | None = None,
    provenance: Mapping[str, str] | None = None,
    tracking: Path | None = None,
) -> FitResult:
    """Train an adapter for ``max_steps``; evaluate and checkpoint every ``eval_steps`` and at the end.

    Args:
        location: folder of the base model.
        workdir: local folder for checkpoints, one of its own for each rank.
        resume_from: a checkpoint folder that an earlier call handed to ``on_checkpoint``.
        on_step: hears, on every rank, the number of each finished step; after a resume first the step resumed from.
        on_checkpoint: gets, on every rank, the newest losses and the checkpoint's folder.
        tell: hears lines for a person: what is about to be done, and how long it will take.
        provenance: ``data_fingerprint`` and ``git_commit``, for trackers.
        tracking: where trackers of ``report_to`` keep their files.

    Raises:
        UserError: nothing to train on, a base that is quantised already, unknown target modules, or a loss that is no
            number or explodes.
    """
    require_trainable(location, train, validation, settings)
    # Before the model: with DeepSpeed, transformers must know of it when weights are loaded.
    arguments = _training_arguments(settings, seed, workdir, bool(validation), provenance or {})
    model = with_adapter(load_quantized(location, settings), settings, seed)
    plan = PackedPlan.make(train, settings, seed)
    if tell is not None:
        tell(plan.summary)
    best = BestAdapter(model, workdir, settings.early_stopping_patience, resume_from)
    asked = validation[: settings.sample_rows]
    followers = trackers(settings.report_to, tracking)
    viewers = [follower.show for follower in followers]
    answers = SampleAnswers(model, load_tokenizer(location), asked, workdir, resume_from, viewers)
    # Hooks hand over a checkpoint that the others have written to, and calibration times all of them.
    callbacks = [best, answers, Hooks(workdir, settings.eval_steps, on_step, on_checkpoint)]
    trainer = PackedTrainer(
        model=model,
        args=arguments,
        train_dataset=plan.dataset,
        eval_dataset=PackedDataset.whole(validation, settings.max_length) if validation else None,
        data_collator=PackedCollator(),
        callbacks=[*followers, *callbacks, *([Calibration(tell)] if tell else [])],
    )
    trainer.remove_callback(PrinterCallback)  # the losses go to on_checkpoint, and not once a rank to the screen
    state = _train(trainer, resume_from, settings, on_step)
    if settings.load_best_model_at_end:
        best.restore()
    tokens, packed = plan.seen(state.global_step)
    return FitResult(model, losses_of(state), tokens, packed, tuple(answers.samples))


def _train(
    trainer: PackedTrainer, resume_from: Path | None, settings: FinetuneSettings, on_step: OnStep | None
) -> TrainerState:
    """Take the steps that are left; Trainer alone would take one more from a checkpoint of the last step."""
    state = _finished_state(resume_from, settings)
    if resume_from is None or state is None:
        trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
        return trainer.state
    set_peft_model_state_dict(trainer.model, load_peft_weights(str(resume_from), device="cpu"))
    if on_step is not None:
        on_step(state.global_step)
    return state


def _training_arguments(
    settings: FinetuneSettings, seed: int, workdir: Path, evaluate: bool, provenance: Mapping[str, str]
) -> TrackedArguments:
    compute, dtype = settings.compute, compute_dtype(settings)
    num_workers = dist.get_world_size() if dist.is_initialized() else 1
    on_cpu = not compute.use_gpu
    return TrackedArguments(
        output_dir=str(workdir),
        max_steps=settings.max_steps,
        per_device_train_batch_size=compute.per_device_train_batch_size,
        per_device_eval_batch_size=compute.per_device_eval_batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps(num_workers),
        train_sampling_strategy="sequential",  # the order is in the data set already
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.lr_scheduler_type,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        activation_checkpointing=settings.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        logging_steps=_LOGGING_STEPS,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if evaluate else "no",
        eval_steps=settings.eval_steps,
        save_strategy="steps",
        save_steps=settings.eval_steps,
        save_total_limit=1,
        bf16=dtype is torch.bfloat16 and not on_cpu,
        fp16=dtype is torch.float16 and not on_cpu,
        use_cpu=on_cpu,
        seed=seed,
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=not on_cpu,
        remove_unused_columns=False,
        deepspeed=_zero2(dtype) if compute.strategy == "deepspeed_zero2" else None,
        report_to="none",  # the trackers are callbacks of our own making, so that a lost one stops nothing
        disable_tqdm=True,
        log_level="error",
        **provenance,
    )


def _zero2(dtype: torch.dtype) -> dict[str, Any]:
    """DeepSpeed's settings for ZeRO stage 2, optimiser state and gradients sharded; transformers fills in "auto"."""
    return {
        "zero_optimization": {"stage": 2, "contiguous_gradients": True, "overlap_comm": True},
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": dtype is torch.bfloat16},
        "fp16": {"enabled": dtype is torch.float16},
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
    }


def _finished_state(checkpoint: Path | None, settings: FinetuneSettings) -> TrainerState | None:
    """The state in ``checkpoint`` when no step is left to take."""
    if checkpoint is None:
        return None
    state = TrainerState.load_from_json(str(checkpoint / STATE_FILE))
    history, patience = losses_of(state), settings.early_stopping_patience
    return state if state.global_step >= settings.max_steps or is_finished(history, patience) else None
