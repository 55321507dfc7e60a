"""QLoRA on a real NF4 model of one layer: it learns, and a killed run ends with the bytes of one that was not."""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
from dataclasses import astuple
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from qa_core.config import FinetuneSettings, LoraSettings, TrainCompute
from qa_core.errors import UserError
from qa_core.training.adapter import write_adapter
from qa_core.training.best import best_step
from qa_core.training.fit import fit
from qa_core.training.hooks import evaluations
from qa_core.training.qlora import load_tokenizer
from qa_core.training.samples import samples_page
from qa_core.training.sft import TrainingExample
from qa_core.training.trainer import refuse_divergence

STEPS = 4


def settings(**values: object) -> FinetuneSettings:
    defaults = {
        "max_steps": STEPS, "eval_steps": 2, "train_batch_size": 2, "max_length": 96, "warmup_steps": 1,
        "learning_rate": 5e-3, "lora": LoraSettings(r=4, lora_alpha=8, lora_dropout=0.1),
        "gradient_checkpointing": False,
        "compute": TrainCompute(use_gpu=False, per_device_train_batch_size=1, per_device_eval_batch_size=2),
    }  # fmt: skip
    return FinetuneSettings.model_validate(defaults | values)


class Run:
    """One ``fit``, its checkpoints kept, and the adapter it wrote."""

    def __init__(
        self,
        base: str,
        examples: list[TrainingExample],
        folder: Path,
        resume_from: Path | None = None,
        **values: object,
    ) -> None:
        self.steps: list[int] = []
        self.losses: list[dict[str, float]] = []
        self.folder = folder

        def keep(losses: dict[str, float], checkpoint: Path) -> None:
            self.losses.append(losses)
            shutil.copytree(checkpoint, folder / "kept" / checkpoint.name)

        chosen = settings(**values)
        self.result = fit(
            base, examples[:4], examples[4:], chosen, 3, folder / "work",
            resume_from=resume_from, on_step=self.steps.append, on_checkpoint=keep,
        )  # fmt: skip
        write_adapter(self.result, load_tokenizer(base), "scratch", chosen, {"train": 4}, "mit", folder / "adapter")

    def checkpoint(self, step: int) -> Path:
        return self.folder / "kept" / f"checkpoint-{step}"

    @property
    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((self.folder / "adapter").iterdir())}


@pytest.fixture(scope="module")
def run(base: str, examples: list[TrainingExample], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(base, examples, tmp_path_factory.mktemp("run"))


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
        "samples.md", "tokenizer_config.json",
    }  # fmt: skip
    config = json.loads(run.files["adapter_config.json"])
    assert config["base_model_name_or_path"] == "scratch"
    assert config["target_modules"] == ["k_proj", "o_proj", "q_proj", "v_proj"]
    assert str(run.folder).encode() not in b"".join(run.files.values())
    assert run.files["README.md"].startswith(b"---\nlicense: mit\nbase_model: scratch\n")
    assert f"| {STEPS} | {run.losses[-1]['eval_loss']:.4f} |" in run.files["README.md"].decode()


FORGETTING = {"learning_rate": 0.2, "lr_scheduler_type": "constant", "max_steps": 12, "eval_steps": 1}
"""A rate at which the validation loss soon rises."""


def test_training_ends_when_patience_does_and_the_adapter_is_the_best_one(
    base: str, examples: list[TrainingExample], tmp_path: Path
) -> None:
    run = Run(base, examples, tmp_path, early_stopping_patience=2, **FORGETTING)
    best = best_step(run.result.history)
    assert run.steps[-1] == best + 2 < 12
    assert run.result.metrics["eval_loss_last"] > run.result.metrics["eval_loss_best"]
    written = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    for step, same in ((best, True), (best + 2, False)):
        kept = load_file(run.checkpoint(step) / "adapter_model.safetensors")
        assert all(torch.equal(written[name], kept[name]) for name in kept) is same


@pytest.mark.parametrize("after_the_best", [1, 2])
def test_a_run_resumed_after_its_best_step_still_has_the_best_adapter(
    base: str, examples: list[TrainingExample], tmp_path: Path, after_the_best: int
) -> None:
    whole = Run(base, examples, tmp_path / "whole", early_stopping_patience=2, **FORGETTING)
    checkpoint = whole.checkpoint(best_step(whole.result.history) + after_the_best)
    resumed = Run(base, examples, tmp_path / "resumed", checkpoint, early_stopping_patience=2, **FORGETTING)
    assert resumed.files == whole.files


def test_the_last_adapter_is_kept_on_request(base: str, examples: list[TrainingExample], tmp_path: Path) -> None:
    run = Run(base, examples, tmp_path, load_best_model_at_end=False, early_stopping_patience=1, **FORGETTING)
    kept = load_file(run.checkpoint(run.steps[-1]) / "adapter_model.safetensors")
    written = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert all(torch.equal(written[name], kept[name]) for name in kept)


def test_validation_questions_are_answered_at_every_evaluation(run: Run, examples: list[TrainingExample]) -> None:
    page = run.files["samples.md"].decode()
    assert [sample.step for sample in run.result.samples] == [2, 2, 4, 4]
    assert {sample.qa_id for sample in run.result.samples} == {"row-4", "row-5"}
    assert "## Who leads? Who leads?" in page
    assert page.count("- step 4: ") == 2


def test_a_loss_that_is_no_number_stops_with_the_step_and_the_rows(
    base: str, examples: list[TrainingExample], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"the loss of step 2 is nan a token .* on rows row-\d"):
        fit(base, examples[:4], [], settings(learning_rate=1e30, warmup_steps=0), 1, tmp_path)


def test_a_loss_that_explodes_stops_too_and_a_high_one_does_not() -> None:
    sane, exploded = (torch.tensor(12.0), ["row-1"]), (torch.tensor(40.0), ["row-2", "row-3"])
    refuse_divergence([sane, sane], 7, num_words=151_936)
    with pytest.raises(UserError, match=r"step 7 is 40 a token .* on rows row-2, row-3"):
        refuse_divergence([sane, exploded], 7, num_words=151_936)


def test_trackers_get_losses_speed_memory_and_where_the_run_came_from(
    base: str, examples: list[TrainingExample], tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    chosen, came_from = settings(report_to=("tensorboard",)), {"data_fingerprint": "f00d", "git_commit": "c0de"}
    fit(base, examples[:4], examples[4:], chosen, 1, tmp_path, provenance=came_from, tracking=tmp_path / "tracking")
    events = EventAccumulator(str(tmp_path / "tracking" / "tensorboard")).Reload()
    shown = set(events.Tags()["scalars"])
    assert {"train/loss", "eval/loss", "train/grad_norm", "train/learning_rate"} <= shown
    assert {"train/tokens_per_second", "train/peak_memory_gib"} <= shown
    assert events.Scalars("train/tokens_per_second")[0].value > 0
    arguments = events.Tensors("args/text_summary")[0].tensor_proto.string_val[0].decode()
    assert '"data_fingerprint": "f00d"' in arguments
    assert '"git_commit": "c0de"' in arguments
    texts = events.Tensors("samples/text_summary")
    assert [text.step for text in texts] == [2, 4]
    shown = texts[1].tensor_proto.string_val[0].decode()
    assert "## Who leads?" in shown
    assert "- step 4: " in shown
    assert "- step 2: " not in shown


def test_weights_and_biases_gets_a_table_of_all_sample_answers(
    base: str, examples: list[TrainingExample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "offline")
    result = fit(base, examples[:4], examples[4:], settings(report_to=("wandb",)), 1, tmp_path, tracking=tmp_path)
    tables = sorted(
        tmp_path.glob("wandb/offline-run-*/files/media/table/*.json"), key=lambda path: path.stat().st_mtime
    )
    assert len(tables) == 2
    table = json.loads(tables[-1].read_text())
    assert table["columns"] == ["step", "qa_id", "question", "wanted", "answer"]
    assert table["data"] == [list(astuple(sample)) for sample in result.samples]


def test_mlflow_gets_the_page_of_sample_answers_beside_its_database(
    base: str, examples: list[TrainingExample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.setenv(name, "")  # so that it is taken back
        monkeypatch.delenv(name)
    folder = tmp_path / "tracking"
    result = fit(base, examples[:4], examples[4:], settings(report_to=("mlflow",)), 1, tmp_path, tracking=folder)
    (page,) = folder.glob("mlflow-artifacts/*/artifacts/samples.md")
    assert page.read_text() == samples_page(result.samples)
    runs = mlflow.search_runs(experiment_names=["lectern"], output_format="list")
    assert [run.info.status for run in runs] == ["FINISHED"]


def test_a_tracker_that_fails_is_left_out_and_training_goes_on(
    base: str,
    examples: list[TrainingExample],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "file" / "events"))
    with caplog.at_level(logging.WARNING):
        result = fit(base, examples[:4], [], settings(report_to=("tensorboard",)), 1, tmp_path / "work")
    assert result.metrics["train_loss_last"] > 0
    assert "TensorBoardCallback failed and is left out" in caplog.text


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is not None, reason="MLflow is installed")
def test_a_tracker_that_is_not_installed_is_a_users_mistake(
    base: str, examples: list[TrainingExample], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="report_to has mlflow"):
        fit(base, examples[:4], [], settings(report_to=("mlflow",)), 1, tmp_path)


def test_unknown_target_modules_are_a_users_mistake(base: str, examples: list[TrainingExample], tmp_path: Path) -> None:
    wrong = settings(lora=LoraSettings(target_modules=("query",)))
    with pytest.raises(UserError, match="target_modules"):
        fit(base, examples, [], wrong, 1, tmp_path)


def test_no_training_row_is_a_users_mistake(base: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no training row"):
        fit(base, [], [], settings(), 1, tmp_path)
