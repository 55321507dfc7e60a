"""QLoRA on a real NF4 model of one layer: it learns, and a killed run ends with the bytes of one that was not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from qa_core.config import FinetuneSettings, LoraSettings, QuantizedLoading, ScratchModel, TrainCompute
from qa_core.errors import UserError
from qa_core.training import qlora
from qa_core.training.adapter import write_adapter
from qa_core.training.base_model import build_scratch_model
from qa_core.training.hooks import evaluations
from qa_core.training.sft import TrainingExample, encode

STEPS = 4


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("base")
    settings = ScratchModel(
        source="scratch", vocab_size=512, intermediate_size=256, num_hidden_layers=1, pretraining_steps=0
    )
    build_scratch_model(["Raft elects a leader by majority. " * 5], settings, 1, folder)
    return str(folder)


@pytest.fixture(scope="module")
def examples(base: str) -> list[TrainingExample]:
    tokenizer = qlora.load_tokenizer(base)
    return [
        encode(
            tokenizer,
            [
                {"role": "user", "content": "Who leads? " * (1 + number % 3)},
                {"role": "assistant", "content": "A leader. " * (1 + number)},
            ],
        )
        for number in range(6)
    ]


def settings(**values: object) -> FinetuneSettings:
    defaults = {
        "max_steps": STEPS, "eval_steps": 2, "train_batch_size": 2, "warmup_steps": 1, "learning_rate": 5e-3,
        "lora": LoraSettings(r=4, lora_alpha=8, lora_dropout=0.1), "gradient_checkpointing": False,
        "compute": TrainCompute(use_gpu=False, per_device_train_batch_size=1, per_device_eval_batch_size=2),
    }  # fmt: skip
    return FinetuneSettings.model_validate(defaults | values)


class Run:
    """One ``fit``, its checkpoints kept, and the adapter it wrote."""

    def __init__(self, base: str, examples: list[TrainingExample], folder: Path, resume_from: Path | None = None):
        self.steps: list[int] = []
        self.losses: list[dict[str, float]] = []
        self.folder = folder

        def keep(losses: dict[str, float], checkpoint: Path) -> None:
            self.losses.append(losses)
            shutil.copytree(checkpoint, folder / "kept" / checkpoint.name)

        self.result = qlora.fit(
            base, examples[:4], examples[4:], settings(), 3, folder / "work",
            resume_from=resume_from, on_step=self.steps.append, on_checkpoint=keep,
        )  # fmt: skip
        write_adapter(self.result, qlora.load_tokenizer(base), "scratch", settings(), {"train": 4}, folder / "adapter")

    def checkpoint(self, step: int) -> Path:
        return self.folder / "kept" / f"checkpoint-{step}"

    @property
    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((self.folder / "adapter").iterdir())}


@pytest.fixture(scope="module")
def run(base: str, examples: list[TrainingExample], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(base, examples, tmp_path_factory.mktemp("run"))


def test_linear_layers_are_loaded_in_four_bits_with_double_quantisation(base: str) -> None:
    model = qlora.load_quantized(base, settings())
    weight = model.model.layers[0].self_attn.q_proj.weight
    assert weight.dtype == torch.uint8
    assert weight.quant_state.quant_type == "nf4"
    assert weight.quant_state.nested
    plain = qlora.load_quantized(base, settings(quantization=QuantizedLoading(load_in_4bit=False)))
    assert plain.model.layers[0].self_attn.q_proj.weight.dtype == torch.float32


def test_an_evaluation_leaves_the_weights_as_they_are_for_the_next_training_step(base: str) -> None:
    model = qlora.load_quantized(base, settings())
    weight, tokens = model.model.layers[0].self_attn.q_proj.weight, torch.tensor([[5, 6, 7]])
    before = weight.data.clone()
    model.eval()
    with torch.no_grad():
        evaluated = model(tokens).logits
    assert torch.equal(weight.data, before)
    assert torch.equal(model.train()(tokens).logits, evaluated)


def test_training_lowers_the_loss_and_evaluates_on_the_way(run: Run) -> None:
    assert run.steps == [1, 2, 3, 4]
    assert [losses["step"] for losses in run.losses] == [2, 4]
    assert evaluations(run.checkpoint(STEPS)) == run.losses
    metrics = run.result.metrics
    assert metrics["eval_loss_last"] < metrics["eval_loss_first"]
    assert metrics["trainable_parameters"] < metrics["parameters"]


def test_a_run_resumed_in_the_middle_writes_the_same_bytes(
    run: Run, base: str, examples: list[TrainingExample], tmp_path: Path
) -> None:
    resumed = Run(base, examples, tmp_path, resume_from=run.checkpoint(2))
    assert resumed.steps == [2, 3, 4]
    assert resumed.files == run.files


def test_a_run_resumed_after_its_last_step_takes_no_further_step(
    run: Run, base: str, examples: list[TrainingExample], tmp_path: Path
) -> None:
    resumed = Run(base, examples, tmp_path, resume_from=run.checkpoint(STEPS))
    assert resumed.steps == [STEPS]
    assert resumed.losses == []
    assert resumed.files == run.files


def test_the_adapter_is_a_peft_folder_without_paths_or_times_of_this_machine(run: Run) -> None:
    assert set(run.files) == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip
    config = json.loads(run.files["adapter_config.json"])
    assert config["base_model_name_or_path"] == "scratch"
    assert config["target_modules"] == ["k_proj", "o_proj", "q_proj", "v_proj"]
    assert str(run.folder).encode() not in b"".join(run.files.values())
    assert f"| {STEPS} | {run.losses[-1]['eval_loss']:.4f} |" in run.files["README.md"].decode()


def test_unknown_target_modules_are_a_users_mistake(base: str, examples: list[TrainingExample], tmp_path: Path) -> None:
    wrong = settings(lora=LoraSettings(target_modules=("query",)))
    with pytest.raises(UserError, match="target_modules"):
        qlora.fit(base, examples, [], wrong, 1, tmp_path)


def test_no_training_row_is_a_users_mistake(base: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no training row"):
        qlora.fit(base, [], [], settings(), 1, tmp_path)
