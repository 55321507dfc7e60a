"""transformers' Trainer for packed rows: dropout, losses and evaluations that do not depend on how many work."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from transformers import Trainer, TrainerControl

from qa_core.errors import UserError
from qa_core.training.batches import PackedCollator, PackedDataset
from qa_core.training.sft import IGNORED
from qa_core.training.throughput import Throughput

_EXPLODED = 3.0
"""Times ln(words): a model that gives every word the same chance loses ln(words) a token."""


class PackedTrainer(Trainer):
    """Trains on :class:`PackedDataset`; a micro-batch is ``per_device_train_batch_size`` bins in one sequence."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._losses: list[tuple[torch.Tensor, list[str]]] = []
        """Loss a token and the rows of each micro-batch of this step, on this worker."""
        weights = sum(parameter.numel() for parameter in self.model.parameters())
        self._throughput = Throughput(weights, self.args.world_size, self.args.device)

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Forward and backward of one micro-batch, its dropout seeded by its place in the run."""
        started = time.perf_counter()
        entropy = np.random.SeedSequence([self.args.seed, inputs.pop("first_bin")])
        torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> 1))
        rows, targets = inputs.pop("qa_ids"), (inputs["labels"] != IGNORED).sum()
        tokens = inputs["labels"].numel()
        loss = super().training_step(model, inputs, num_items_in_batch)
        if num_items_in_batch is not None:  # the loss is this micro-batch's part of the step's mean over all workers
            a_token = loss * num_items_in_batch / (targets * self.accelerator.num_processes)
            self._losses.append((a_token, rows))
        self._throughput.add(tokens, time.perf_counter() - started)
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        """Called once a step on every worker, when all gradients are there and no weight has moved."""
        losses, self._losses = self._losses, []
        started = time.perf_counter()
        refuse_divergence(losses, self.state.global_step + 1, self.model.config.vocab_size)
        norm = super()._clip_grad_norm(model)
        self._throughput.add(0, time.perf_counter() - started)  # on a GPU, where the work of the step is waited for
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Tell trackers of speed and memory beside every training loss."""
        super().log({**logs, **(self._throughput.figures() if "loss" in logs else {})}, start_time)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Mean loss of a target token over the rows of the validation split, each counted once."""
        metrics = {f"{metric_key_prefix}_loss": self._mean_loss(eval_dataset or self.eval_dataset)}
        self.log(metrics)
        self.control: TrainerControl = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    @torch.no_grad()
    def _mean_loss(self, bins: PackedDataset) -> float:
        self.model.eval()
        batch, collate = self.args.per_device_eval_batch_size, PackedCollator()
        summed = torch.zeros(2, dtype=torch.float64, device=self.args.device)
        for start in range(self.args.process_index * batch, len(bins), self.args.world_size * batch):
            inputs = collate([bins[number] for number in range(start, min(start + batch, len(bins)))])
            del inputs["first_bin"], inputs["qa_ids"]
            inputs = self._prepare_inputs(inputs)
            with self.compute_loss_context_manager():
                loss = self.model(**inputs, num_items_in_batch=1).loss
            summed += torch.stack([loss.double(), (inputs["labels"] != IGNORED).sum()])
        if self.args.world_size > 1:
            dist.all_reduce(summed)
        return (summed[0] / summed[1]).item()


def refuse_divergence(losses: Sequence[tuple[torch.Tensor, list[str]]], step: int, num_words: int) -> None:
    """Raise the same :class:`UserError` on every worker when a micro-batch of this step has lost its way.

    Args:
        losses: this worker's micro-batches, each with its loss a token (float[]) and the ids of its rows.
        num_words: of the vocabulary; three times its logarithm is called an explosion.
    """
    limit = _EXPLODED * math.log(num_words)
    values = torch.stack([loss.detach().float() for loss, _ in losses])
    lost = ~(values <= limit)  # not a number is not below either
    any_lost = lost.any().float()
    if dist.is_initialized():
        dist.all_reduce(any_lost, dist.ReduceOp.MAX)
    if not any_lost:
        return
    bad = [(values[place].item(), losses[place][1]) for place in lost.nonzero().flatten().tolist()]
    if dist.is_initialized():
        everywhere: list[list[tuple[float, list[str]]]] = [[] for _ in range(dist.get_world_size())]
        dist.all_gather_object(everywhere, bad)
        bad = [entry for entries in everywhere for entry in entries]
    loss, rows = bad[0]
    raise UserError(
        f"the loss of step {step} is {loss:g} a token (at most {limit:.1f} is sane), on rows {', '.join(rows)}",
        "look at these rows in qa/; if they are fine, halve finetune.learning_rate or raise finetune.warmup_steps",
    )
