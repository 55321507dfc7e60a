"""The contestants of :mod:`benchmarks.training`: each runs in a process of its own and returns its figures."""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

ROWS, SEED = 400, 1
SMALL = {
    "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 32_768,
}  # fmt: skip
LARGE = {
    "hidden_size": 2048, "intermediate_size": 11_008, "num_hidden_layers": 36, "num_attention_heads": 16,
    "num_key_value_heads": 2, "vocab_size": 151_936, "tie_word_embeddings": True,
}  # fmt: skip
"""The shape of Qwen2.5-3B-Instruct."""


def write_model(folder: str, shape: dict[str, Any]) -> None:
    """A Qwen2 with random weights, and a tokenizer that nobody asks for more than its end mark."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from qa_core.training.tokenizer import save_tokenizer, train_tokenizer

    tokenizer = train_tokenizer(["A quorum is a majority of the nodes. " * 4], 320)
    save_tokenizer(tokenizer, 32_768, Path(folder))
    torch.manual_seed(SEED)
    large = shape is LARGE
    with torch.device("cuda" if large else "cpu"):
        model = Qwen2ForCausalLM(Qwen2Config(**shape, max_position_embeddings=32_768, eos_token_id=0, pad_token_id=0))
    (model.to(torch.bfloat16) if large else model).save_pretrained(folder)


def rows(vocab_size: int) -> list[Any]:
    """One row in five is a short question; the others show passages and learn their last tenth."""
    import numpy as np

    from qa_core.training.sft import IGNORED, TrainingExample

    generator = np.random.default_rng(SEED)
    made = []
    for number in range(ROWS):
        length = int(generator.integers(50, 120) if number % 5 == 0 else np.clip(generator.normal(450, 45), 300, 720))
        tokens = generator.integers(10, vocab_size, length).tolist()
        prompt = length // 2 if number % 5 == 0 else length - length // 10
        made.append(TrainingExample(tokens, [IGNORED] * prompt + tokens[prompt:], f"row-{number}"))
    return made


def settings(options: argparse.Namespace) -> Any:
    from qa_core.config import FinetuneSettings, TrainCompute

    on_gpu = options.device == "cuda"
    return FinetuneSettings(
        max_steps=options.steps, eval_steps=max(1, options.steps // 3), warmup_steps=2, train_batch_size=4,
        max_length=options.max_length, gradient_checkpointing=on_gpu, sample_rows=0, load_best_model_at_end=False,
        compute=TrainCompute(use_gpu=on_gpu, per_device_train_batch_size=2 if on_gpu else 1),
    )  # fmt: skip


def tokens_of_steps(bins: Any, lengths: list[int]) -> list[int]:
    """Four bins make a step."""
    return [sum(lengths[row] for packed in bins[at : at + 4] for row in packed) for at in range(0, len(bins), 4)]


class StepClock:
    """Hears of finished steps; the first, which warms up, is left out.

    On a CPU it counts seconds of this process's own work, so that busy neighbours do not count; a GPU has none.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._now = time.process_time if device == "cpu" else time.perf_counter
        self.times: list[float] = []

    def __call__(self, step: int) -> None:
        self.times.append(self._now())

    def speed(self, tokens_of_steps: list[int]) -> float:
        return sum(tokens_of_steps[1:]) / (self.times[-1] - self.times[0])


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def ours(options: argparse.Namespace) -> dict[str, float]:
    import torch

    from qa_core.training.batches import PackedCollator, PackedDataset
    from qa_core.training.fit import fit
    from qa_core.training.packing import filled, packed_order

    torch.set_num_threads(1)
    imported, chosen, clock = peak_bytes(), settings(options), StepClock()
    examples = rows(options.words)
    with tempfile.TemporaryDirectory() as workdir:
        result = fit(options.model, examples, [], chosen, SEED, Path(workdir), on_step=clock)
    lengths = [len(example.input_ids) for example in examples]
    bins = packed_order(lengths, chosen.max_length, chosen.max_steps * chosen.train_batch_size, SEED)
    data = PackedDataset(examples, bins)
    computed = sum(PackedCollator()([data[number]])["input_ids"].numel() for number in range(len(data)))
    return {
        "tokens_per_second": clock.speed(tokens_of_steps(bins, lengths)),
        "peak_bytes": peak_bytes() - imported,
        "packing_efficiency": result.tokens / computed,
        "bins_filled": filled(bins, lengths, chosen.max_length),
        "loss": result.metrics["train_loss_last"],
    }


def trl(options: argparse.Namespace) -> dict[str, float]:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    torch.set_num_threads(1)
    imported, chosen, clock = peak_bytes(), settings(options), StepClock()

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            clock(state.global_step)

    quantization = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(
        options.model, dtype=torch.float32, device_map={"": "cpu"}, quantization_config=quantization
    )
    for module in model.modules():  # as in ours: without it bitsandbytes has no backward pass on some processors
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    examples = rows(options.words)
    data = Dataset.from_list([{"input_ids": row.input_ids, "labels": row.labels} for row in examples])
    lora = chosen.lora
    with tempfile.TemporaryDirectory() as workdir:
        trainer = SFTTrainer(
            model=model,
            processing_class=AutoTokenizer.from_pretrained(options.model),
            train_dataset=data,
            peft_config=LoraConfig(
                task_type="CAUSAL_LM", r=lora.r, lora_alpha=lora.lora_alpha, lora_dropout=lora.lora_dropout,
                target_modules=list(lora.target_modules),
            ),
            args=SFTConfig(
                output_dir=workdir, packing=True, max_length=options.max_length, max_steps=options.steps,
                per_device_train_batch_size=1, gradient_accumulation_steps=4, learning_rate=chosen.learning_rate,
                lr_scheduler_type="cosine", warmup_steps=2, gradient_checkpointing=False, bf16=False, use_cpu=True,
                logging_steps=options.steps, save_strategy="no", report_to="none", seed=SEED, disable_tqdm=True,
                dataloader_pin_memory=False,
            ),
            callbacks=[Clock()],
        )  # fmt: skip
        collate, seen = trainer.data_collator, []

        def counted(features: Any) -> Any:
            batch = collate(features)
            seen.append(batch["input_ids"].numel())
            return batch

        trainer.data_collator = counted
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    per_step = [sum(seen[at : at + 4]) for at in range(0, 4 * options.steps, 4)]
    return {
        "tokens_per_second": clock.speed(per_step),
        "peak_bytes": peak_bytes() - imported,
        "loss": losses[-1],
    }


def timed_fit(options: argparse.Namespace, on_checkpoint: Any) -> float:
    import torch

    from qa_core.training.fit import fit

    torch.set_num_threads(1)  # two that wait for each other would pay for any neighbour, and Ray has some of its own
    examples = rows(options.words)
    with tempfile.TemporaryDirectory() as workdir:
        started = time.perf_counter()
        fit(
            options.model, examples[20:], examples[:20], settings(options), SEED, Path(workdir),
            on_checkpoint=on_checkpoint,
        )  # fmt: skip
        return time.perf_counter() - started


def plain(options: argparse.Namespace) -> dict[str, float]:
    return {"loop_s": timed_fit(options, None), "start_s": 0.0}


def in_ray_train(options: argparse.Namespace) -> dict[str, float]:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    from jobs.ray_session import ray_session
    from jobs.train_worker import reporter

    def worker(config: dict[str, Any]) -> float:
        return timed_fit(options, reporter(False, None))

    started = time.perf_counter()
    with ray_session(), tempfile.TemporaryDirectory() as storage:
        trainer = TorchTrainer(
            worker,
            train_loop_config={},
            torch_config=TorchConfig(backend="gloo"),
            scaling_config=ScalingConfig(num_workers=1, resources_per_worker={"CPU": 1}),
            run_config=RunConfig(name="benchmark", storage_path=storage),
        )
        loop = trainer.fit().return_value
    return {"loop_s": loop, "start_s": time.perf_counter() - started - loop}


CONTESTANTS = {"ours": ours, "trl": trl, "plain": plain, "ray": in_ray_train}
