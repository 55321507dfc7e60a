"""What is refused before training, and what running out of memory says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from qa_core.config import FinetuneSettings, TrainCompute
from qa_core.errors import UserError
from qa_core.training.preflight import estimate, halved, is_out_of_memory, require_memory, require_trainable
from qa_core.training.sft import TrainingExample

ROW = TrainingExample([1, 2], [-100, 2])


def settings(**values: object) -> FinetuneSettings:
    compute = TrainCompute(use_gpu=False, per_device_train_batch_size=4)
    return FinetuneSettings.model_validate({"compute": compute, "gradient_checkpointing": False} | values)


def test_an_empty_split_is_refused(base: str) -> None:
    with pytest.raises(UserError, match="no training row"):
        require_trainable(base, [], [ROW], settings())
    with pytest.raises(UserError, match="early_stopping_patience needs validation rows"):
        require_trainable(base, [ROW], [], settings(early_stopping_patience=2))
    require_trainable(base, [ROW], [], settings())


def test_a_base_that_is_quantised_already_is_refused(base: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "base"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | {"quantization_config": {"quant_method": "gptq", "bits": 4}})
    )
    with pytest.raises(UserError, match=r"quantised already \(gptq\)"):
        require_trainable(str(folder), [ROW], [], settings())


@pytest.mark.parametrize("name", ["ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"])
def test_an_environment_that_would_shard_the_base_is_refused(
    base: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "false")
    require_trainable(base, [ROW], [], settings())
    monkeypatch.setenv(name, "true")
    with pytest.raises(UserError, match=f"unset {name}; finetune.compute.strategy=deepspeed_zero2"):
        require_trainable(base, [ROW], [], settings())


def test_too_little_memory_is_told_with_the_settings_that_fit(base: str) -> None:
    needed = estimate(base, settings()).total
    assert require_memory(base, settings(), needed).total == needed
    with pytest.raises(UserError, match=r"per_device_train_batch_size=2 would fit") as caught:
        require_memory(base, settings(), needed - 1)
    assert "base model" in caught.value.problem
    compute = TrainCompute(use_gpu=False)
    least = estimate(base, settings(compute=compute, gradient_checkpointing=True, max_length=1024)).total
    with pytest.raises(
        UserError, match=r"batch_size=1 finetune.gradient_checkpointing=true finetune.max_length=1024 w"
    ):
        require_memory(base, settings(), least)
    with pytest.raises(UserError, match="a smaller base model"):
        require_memory(base, settings(), 1000)


def test_what_is_halved_still_divides_the_batch() -> None:
    compute = TrainCompute(use_gpu=False, per_device_train_batch_size=6, num_workers=2)
    change, lighter = halved(settings(train_batch_size=12, compute=compute)) or ("", None)
    assert change == "finetune.compute.per_device_train_batch_size=3"
    assert lighter is not None
    assert lighter.gradient_accumulation_steps(2) == 2


def test_a_refused_allocation_is_known_as_one() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
