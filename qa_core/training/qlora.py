"""QLoRA: low-rank adapters on a 4-bit base model (Dettmers et al., 2023, arXiv:2305.14314), with transformers' Trainer.

The same code runs on a CPU and on GPUs, alone or as one rank of a process group. A run that is killed and resumed from
a checkpoint ends with the same bytes: the order of rows is a list made from the seed, and dropout is seeded anew for
each step, so no state of a random generator has to survive.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from peft.utils.save_and_load import load_peft_weights, set_peft_model_state_dict
from torch.utils.data import Dataset
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PrinterCallback,
    Trainer,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from qa_core.config import FinetuneSettings
from qa_core.errors import UserError
from qa_core.training.hooks import STATE_FILE, Hooks, OnCheckpoint, OnStep, losses_of
from qa_core.training.schedule import by_length, row_order
from qa_core.training.sft import PaddingCollator, TrainingExample

_LOGGING_STEPS = 10


@dataclass(frozen=True)
class FitResult:
    """A trained adapter and what happened on the way."""

    model: PeftModel
    history: tuple[dict[str, float], ...]
    """Every logged loss and every evaluation, in order, from the first step of the run (resumed or not)."""
    tokens: int
    """Tokens that the optimiser saw, prompts included, padding not."""

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
            "trainable_parameters": trainable,
            "parameters": total,
        }
        if evaluation:
            figures |= {
                "eval_loss_first": evaluation[0],
                "eval_loss_best": min(evaluation),
                "eval_loss_last": evaluation[-1],
            }
        return figures


def load_tokenizer(location: str) -> Any:
    """The tokenizer of the model folder ``location``."""
    return AutoTokenizer.from_pretrained(location)


def load_quantized(location: str, settings: FinetuneSettings) -> Any:
    """The base model on this process's device, its linear layers in 4 bits when the settings say so."""
    dtype = compute_dtype(settings)
    quantization = settings.quantization
    bits_and_bytes = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantization.bnb_4bit_quant_type,
        bnb_4bit_use_double_quant=quantization.bnb_4bit_use_double_quant,
        bnb_4bit_compute_dtype=dtype,
    )
    model = AutoModelForCausalLM.from_pretrained(
        location,
        dtype=dtype,
        device_map={"": int(os.environ.get("LOCAL_RANK", "0")) if settings.compute.use_gpu else "cpu"},
        quantization_config=bits_and_bytes if quantization.load_in_4bit else None,
        use_safetensors=True,
    )
    _keep_one_weight_layout(model)
    return model


def _keep_one_weight_layout(model: Any) -> None:
    """Let an evaluation leave the weights as they are.

    On processors with AVX512-BF16, bitsandbytes 0.50 repacks 4-bit weights at the first evaluation for a kernel of its
    own, and the next training step then fails: that kernel has no backward pass.
    """
    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def compute_dtype(settings: FinetuneSettings) -> torch.dtype:
    """The dtype of matrix products; ``auto`` is what the device does well."""
    name = settings.quantization.bnb_4bit_compute_dtype
    if name != "auto":
        return getattr(torch, name)
    if not settings.compute.use_gpu:
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


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
) -> FitResult:
    """Train an adapter for ``max_steps``; evaluate and checkpoint every ``eval_steps`` and at the end.

    Args:
        location: folder of the base model.
        workdir: local folder for checkpoints, one of its own for each rank.
        resume_from: a checkpoint folder that an earlier call handed to ``on_checkpoint``.
        on_step: hears, on every rank, the number of each finished step; after a resume first the step resumed from.
        on_checkpoint: gets, on every rank, the newest losses and the checkpoint's folder.
    """
    if not train:
        raise UserError("there is no training row", "raise finetune.max_length or generate more rows")
    tokenizer = load_tokenizer(location)
    # Before the model: with DeepSpeed, transformers must know of it when weights are loaded.
    arguments = _training_arguments(settings, seed, workdir, evaluate=bool(validation))
    model = _with_adapter(load_quantized(location, settings), settings, seed)
    lengths = _lengths(train)
    order = row_order(lengths, settings.max_steps, settings.train_batch_size, seed)
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=_Rows(train, order),
        eval_dataset=_Rows(validation, by_length([len(example.input_ids) for example in validation]))
        if validation
        else None,
        data_collator=PaddingCollator(tokenizer.pad_token_id),
        callbacks=[Hooks(seed, workdir, settings.eval_steps, on_step, on_checkpoint)],
    )
    trainer.remove_callback(PrinterCallback)  # the losses go to on_checkpoint, and not once a rank to the screen
    tokens = sum(lengths[row] for row in order)
    state = _finished_state(resume_from, settings.max_steps)
    if resume_from is not None and state is not None:
        # Trainer would take one more step from a checkpoint of the last step.
        set_peft_model_state_dict(model, load_peft_weights(str(resume_from), device="cpu"))
        if on_step is not None:
            on_step(state.global_step)
    else:
        trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
        state = trainer.state
    return FitResult(model, losses_of(state), tokens)


def _lengths(examples: Sequence[TrainingExample]) -> list[int]:
    return [len(example.input_ids) for example in examples]


def _with_adapter(model: Any, settings: FinetuneSettings, seed: int) -> PeftModel:
    model = prepare_model_for_kbit_training(
        model,
        use_gradient_checkpointing=settings.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
    )
    lora = settings.lora
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=list(lora.target_modules),
    )
    set_seed(seed)
    try:
        adapted = get_peft_model(model, config)
    except ValueError as error:
        raise UserError(
            f"finetune.lora.target_modules={list(lora.target_modules)} are not all in the base model: {error}",
            "Qwen2 has q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj",
        ) from error
    assert isinstance(adapted, PeftModel)
    return adapted


def _training_arguments(settings: FinetuneSettings, seed: int, workdir: Path, evaluate: bool) -> TrainingArguments:
    compute, dtype = settings.compute, compute_dtype(settings)
    on_cpu = not compute.use_gpu
    return TrainingArguments(
        output_dir=str(workdir),
        max_steps=settings.max_steps,
        per_device_train_batch_size=compute.per_device_train_batch_size,
        per_device_eval_batch_size=compute.per_device_eval_batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        train_sampling_strategy="sequential",  # the order is in the data set already
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.lr_scheduler_type,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        activation_checkpointing=settings.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        logging_steps=_LOGGING_STEPS,
        eval_strategy="steps" if evaluate else "no",
        eval_steps=settings.eval_steps,
        save_strategy="steps",
        save_steps=settings.eval_steps,
        save_total_limit=1,
        prediction_loss_only=True,
        bf16=dtype is torch.bfloat16 and not on_cpu,
        fp16=dtype is torch.float16 and not on_cpu,
        use_cpu=on_cpu,
        seed=seed,
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=not on_cpu,
        remove_unused_columns=False,
        deepspeed=_zero2(dtype) if compute.strategy == "deepspeed_zero2" else None,
        report_to=list(settings.report_to) or "none",
        disable_tqdm=True,
        log_level="error",
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


def _finished_state(checkpoint: Path | None, max_steps: int) -> TrainerState | None:
    """The state in ``checkpoint`` when no step is left to take."""
    if checkpoint is None:
        return None
    state = TrainerState.load_from_json(str(checkpoint / STATE_FILE))
    return state if state.global_step >= max_steps else None


@dataclass(frozen=True)
class _Rows(Dataset[TrainingExample]):
    """Examples in a given order, repeats included."""

    examples: Sequence[TrainingExample]
    order: Sequence[int]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> TrainingExample:
        return self.examples[self.order[index]]
