"""Rows to an adapter, and the search for its hyperparameters."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from qa_core.config.section import Fraction, Section


class QuantizedLoading(Section):
    """Keys of transformers' BitsAndBytesConfig."""

    load_in_4bit: bool = True
    bnb_4bit_quant_type: Literal["nf4", "fp4"] = "nf4"
    bnb_4bit_use_double_quant: bool = True
    bnb_4bit_compute_dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """``auto``: bfloat16 where the GPU has it, float16 on other GPUs, float32 on a CPU."""


class LoraSettings(Section):
    """Keys of peft's LoraConfig."""

    r: int = Field(16, ge=1)
    lora_alpha: int = Field(32, ge=1)
    lora_dropout: Fraction = 0.05
    use_rslora: bool = False
    """Scale by alpha / sqrt(r) instead of alpha / r, which keeps high ranks learning."""
    use_dora: bool = False
    """Learn the length of each weight column apart from its direction; slower, and vLLM and llama.cpp load no such
    adapter (merged models are fine)."""
    target_modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")


_SHARD_THE_BASE = ("fsdp", "fsdp2", "deepspeed_zero3")


class TrainCompute(Section):
    """Where training runs. The rows of each optimisation step are the same for any number of workers."""

    num_workers: int | tuple[int, int] = 1
    """``[fewest, most]`` lets the number follow the cluster: training goes on from its last checkpoint with as many as
    there is room for when nodes leave or join. Growing repeats the steps since that checkpoint."""
    use_gpu: bool = True
    cpus_per_worker: float = Field(1.0, gt=0)
    per_device_train_batch_size: int = Field(1, ge=1)
    """Packed sequences that a worker computes at once."""
    per_device_eval_batch_size: int = Field(1, ge=1)
    strategy: Literal["ddp", "deepspeed_zero2"] = "ddp"
    """``ddp``: every worker has the whole model, its base in 4 bits; ``deepspeed_zero2`` shards the gradients and the
    optimiser over the workers."""
    max_failures: int = Field(2, ge=0)
    """Lost workers that are replaced before the run gives up."""

    @property
    def worker_counts(self) -> range:
        """How many there may be, from the fewest to the most."""
        fewest, most = (self.num_workers,) * 2 if isinstance(self.num_workers, int) else self.num_workers
        return range(fewest, most + 1)

    @field_validator("num_workers", mode="before")
    @classmethod
    def _some_workers(cls, given: Any) -> Any:
        counts = given if isinstance(given, (list, tuple)) and len(given) == 2 else [given]
        if not all(type(count) is int and count >= 1 for count in counts) or counts[0] > counts[-1]:
            raise ValueError(f"{given!r} must be a number from 1 on, or [fewest, most]")
        return given

    @field_validator("strategy", mode="before")
    @classmethod
    def _base_stays_whole(cls, strategy: Any) -> Any:
        if strategy in _SHARD_THE_BASE:
            raise ValueError(
                f"{strategy} shards the frozen base, which has not been shown to work with 4-bit weights. Set"
                " deepspeed_zero2, which shards gradients and optimiser, or ddp: in 4 bits every worker holds the whole"
                " base in half a byte a weight"
            )
        return strategy

    @model_validator(mode="after")
    def _may_change_its_size(self) -> TrainCompute:
        if len(self.worker_counts) > 1 and self.strategy == "deepspeed_zero2":
            raise ValueError(
                f"num_workers={self.num_workers} needs strategy=ddp: a checkpoint of deepspeed_zero2 is in parts, one a"
                " worker, which another number of workers cannot read"
            )
        return self


class FinetuneSettings(Section):
    quantization: QuantizedLoading = QuantizedLoading()
    lora: LoraSettings = LoraSettings()
    learning_rate: float = Field(2e-4, gt=0)
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_steps: int = Field(30, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    train_batch_size: int = Field(4, ge=1)
    """Packed sequences of up to ``max_length`` tokens in one optimisation step over all workers."""
    max_steps: int = Field(1000, ge=1)
    eval_steps: int = Field(200, ge=1)
    """An evaluation and a checkpoint every this many steps."""
    early_stopping_patience: int | None = Field(None, ge=1)
    """Evaluations without a lower validation loss before training ends; null: never."""
    load_best_model_at_end: bool = True
    """The adapter is that of the lowest validation loss; otherwise that of the last step."""
    max_length: int = Field(2048, ge=64)
    """Tokens of a packed sequence, and so the most of a row; longer rows are rejected and counted."""
    gradient_checkpointing: bool = True
    sample_rows: int = Field(2, ge=0)
    """Validation questions that are answered at every evaluation, for ``adapter/samples.md`` and the trackers."""
    report_to: tuple[Literal["wandb", "mlflow", "tensorboard"], ...] = ()
    compute: TrainCompute = TrainCompute()

    def gradient_accumulation_steps(self, num_workers: int) -> int:
        """Micro-batches of each of ``num_workers`` in one optimisation step."""
        return self.train_batch_size // (self.compute.per_device_train_batch_size * num_workers)

    @model_validator(mode="after")
    def _batch_divides(self) -> FinetuneSettings:
        size = self.compute.per_device_train_batch_size
        for workers in self.compute.worker_counts:
            if not self.divides(size, workers):
                raise ValueError(
                    f"train_batch_size={self.train_batch_size} must be a multiple of per_device_train_batch_size x"
                    f" num_workers = {size} x {workers} = {size * workers}"
                )
        return self

    def divides(self, per_device: int, num_workers: int) -> bool:
        """Whether a step's sequences can be shared out in micro-batches of ``per_device`` among that many workers."""
        return self.train_batch_size % (per_device * num_workers) == 0


class SearchDimension(Section):
    """One axis of the search space, in Ray Tune's vocabulary."""

    distribution: Literal["uniform", "loguniform", "choice"]
    low: float | None = None
    high: float | None = None
    values: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _has_its_values(self) -> SearchDimension:
        if self.distribution == "choice":
            if not self.values:
                raise ValueError("choice needs values: [...]")
        elif self.low is None or self.high is None or not self.low < self.high:
            raise ValueError(f"{self.distribution} needs low < high")
        elif self.distribution == "loguniform" and self.low <= 0:
            raise ValueError("loguniform needs low > 0")
        return self


class TuneCompute(Section):
    max_concurrent_trials: int = Field(1, ge=1)


class TuneSettings(Section):
    num_samples: int = Field(8, ge=1)
    """Trials."""
    max_steps: int = Field(200, ge=2)
    """Optimisation steps of a trial that is never stopped early, unless ``finetune.max_steps`` is searched over."""
    eval_steps: int = Field(50, ge=1)
    """Steps between two reports to the scheduler."""
    grace_period: int = Field(1, ge=1)
    """Reports before ASHA may stop a trial."""
    reduction_factor: float = Field(3, gt=1)
    searcher: Literal["tpe", "random"] = "tpe"
    """``tpe``: Optuna's tree-structured Parzen estimator, which draws near what scored well."""
    answer_rows: int = Field(64, ge=1)
    """Validation questions that a finished trial answers; their mean token F1 is what trials are compared by. In a
    joint sweep they are answered through retrieval, as in the service."""
    answer_tokens: int = Field(128, ge=1)
    """Longest answer."""
    search_space: dict[str, SearchDimension] = {
        "finetune.learning_rate": SearchDimension(distribution="loguniform", low=5e-5, high=1e-3),
        "finetune.lora.r": SearchDimension(distribution="choice", values=(8, 16, 32)),
    }
    """Dotted config keys to search over: ``finetune.*``; in a joint sweep also ``retrieval.*``,
    ``generate_qa.context.*`` and, as choices, ``chunk.max_tokens``, ``chunk.overlap_tokens``, ``chunk.min_tokens`` and
    ``chunk.segmentation.*``."""
    compute: TuneCompute = TuneCompute()

    @property
    def sweeps_chunks(self) -> bool:
        return any(key.startswith("chunk.") for key in self.search_space)

    @property
    def is_joint(self) -> bool:
        """Whether trials differ in what they are shown, not only in how they learn: then they answer through
        retrieval."""
        return any(not key.startswith("finetune.") for key in self.search_space)
