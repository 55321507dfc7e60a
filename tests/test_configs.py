"""Every config that ships loads, and the method's own settings are where they were fixed."""

from __future__ import annotations

import pytest
import yaml

from qa_core.config import LecternConfig
from qa_core.config_loader import load_config, shipped_configs


@pytest.mark.parametrize("name", shipped_configs())
def test_every_shipped_config_loads_alone_and_over_the_3b_config(name: str) -> None:
    for names in ([name], ["qwen2.5-3b", name]):
        assert isinstance(load_config(names), LecternConfig)


@pytest.mark.parametrize("name", shipped_configs())
def test_a_printed_config_goes_back_in_unchanged(name: str, tmp_path) -> None:
    config = load_config([name])
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    assert load_config([str(path)]) == config


def test_the_3b_config_holds_the_settings_of_the_method() -> None:
    config = load_config(["qwen2.5-3b"])
    assert config.base_model.name_or_path == "Qwen/Qwen2.5-3B-Instruct"
    finetune, lora = config.finetune, config.finetune.lora
    assert (lora.r, lora.lora_alpha) == (16, 32)
    assert lora.target_modules == ("q_proj", "k_proj", "v_proj", "o_proj")
    assert finetune.quantization.bnb_4bit_quant_type == "nf4"
    assert finetune.quantization.bnb_4bit_use_double_quant is True
    assert finetune.learning_rate == 2e-4
    assert (finetune.compute.per_device_train_batch_size, finetune.gradient_accumulation_steps(1)) == (1, 4)
    assert (finetune.max_steps, finetune.eval_steps) == (1000, 200)
    quotas = config.generate_qa.quotas
    assert sum(quotas.by_type.values()) == 2500
    assert quotas.factual + quotas.analytical + quotas.comparative + quotas.hypothetical > 0.7 * 2500
    assert config.generate_qa.judge is not None
    splits = config.generate_qa.splits
    assert (splits.train, splits.validation, splits.test) == (0.8, 0.1, 0.1)
    assert config.index.embedder.name_or_path == "BAAI/bge-small-en-v1.5"
    assert config.retrieval.top_k == 3
    assert config.convert.quantization == "Q4_K_M"


def test_more_gpus_share_the_same_optimisation_step() -> None:
    config = load_config(["qwen2.5-3b"], ["finetune.compute.num_workers=4"])
    assert config.finetune.train_batch_size == 4
    assert config.finetune.gradient_accumulation_steps(4) == 1


def test_defaults_alone_are_a_valid_config() -> None:
    assert LecternConfig() == load_config()
