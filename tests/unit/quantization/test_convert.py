from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from qa_core.errors import UserError
from qa_core.generation.llama import LlamaModel
from qa_core.quantization.convert import merge_adapter, write_gguf
from qa_core.quantization.description import Description
from qa_core.quantization.divergence import compare_with_reference
from qa_core.quantization.reference import load_model
from tests.unit.quantization.golden_models import make_model


def edited(folder: Path, out: Path, file: str, change: Any) -> Path:
    """A copy of ``folder`` in which ``change`` was applied to a parsed JSON file."""
    shutil.copytree(folder, out)
    content = json.loads((out / file).read_text())
    change(content)
    (out / file).write_text(json.dumps(content))
    return out


def agreement(model: Path, file: Path, rows: list[list[int]]) -> tuple[float, float]:
    converted = LlamaModel(file)
    measured = compare_with_reference(load_model(model, 1), converted, rows, 1)
    converted.close()
    return measured.max_difference, measured.argmax_agreement


def test_merging_gives_the_weights_that_peft_gives(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    merge_adapter(str(tiny_model), adapter, tmp_path / "merged")
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").state_dict()
    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    theirs = PeftModel.from_pretrained(base, adapter).merge_and_unload().state_dict()
    assert ours.keys() == theirs.keys()
    changed = [name for name in ours if not torch.equal(ours[name], before[name])]
    assert len(changed) == 2 * 3  # layers x target modules
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-6)


def test_bfloat16_weights_stay_bfloat16_and_are_rounded_once(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.bfloat16).save_pretrained(base)
    shutil.copy(tiny_model / "tokenizer.json", base)
    merge_adapter(str(base), adapter, tmp_path / "merged")
    name = "model.layers.0.mlp.down_proj"
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype="auto")
    assert merged.dtype == torch.bfloat16
    from safetensors.torch import load_file

    lora = load_file(adapter / "adapter_model.safetensors")
    a, b = (lora[f"base_model.model.{name}.lora_{part}.weight"] for part in "AB")
    original = load_file(base / "model.safetensors")[f"{name}.weight"]
    expected = (original.float() + 2.0 * (b @ a)).to(torch.bfloat16)
    assert (merged.get_submodule(name).weight != expected).float().mean() < 1e-4  # a sum on the edge between two values


def test_merging_twice_gives_the_same_bytes(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        merge_adapter(str(tiny_model), adapter, tmp_path / name)
        write_gguf(tmp_path / name, tmp_path / f"{name}.gguf")
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_an_adapter_of_another_model_is_refused(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    other = edited(adapter, tmp_path / "dora", "adapter_config.json", lambda config: config.update(use_qalora=True))
    with pytest.raises(UserError, match="use_qalora"):
        merge_adapter(str(tiny_model), other, tmp_path / "out")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match=r"no \.safetensors"):
        merge_adapter(str(empty), adapter, tmp_path / "out")


def test_the_f16_file_predicts_what_the_original_predicts(
    tiny_model: Path, tiny_gguf: Path, token_rows: list[list[int]]
) -> None:
    difference, argmax = agreement(tiny_model, tiny_gguf, token_rows)
    assert difference < 0.03
    assert argmax > 0.99


def test_f32_and_bf16_files_can_be_written(tiny_model: Path, token_rows: list[list[int]], tmp_path: Path) -> None:
    write_gguf(tiny_model, tmp_path / "f32.gguf", "f32")
    write_gguf(tiny_model, tmp_path / "bf16.gguf", "bf16")
    assert agreement(tiny_model, tmp_path / "f32.gguf", token_rows)[0] < 0.02
    assert agreement(tiny_model, tmp_path / "bf16.gguf", token_rows)[1] > 0.9


@pytest.mark.parametrize(
    ("config_class", "model_class"), [(LlamaConfig, LlamaForCausalLM), (Qwen3Config, Qwen3ForCausalLM)]
)
def test_other_architectures_predict_what_the_original_predicts(
    tiny_model: Path, token_rows: list[list[int]], tmp_path: Path, config_class: Any, model_class: Any
) -> None:
    torch.manual_seed(0)
    shape = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    config = config_class(
        vocab_size=json.loads((tiny_model / "config.json").read_text())["vocab_size"], head_dim=32, **shape
    )
    model_class(config).apply(_widen).save_pretrained(tmp_path / "model")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(tiny_model / name, tmp_path / "model")
    write_gguf(tmp_path / "model", tmp_path / "model.gguf")
    difference, argmax = agreement(tmp_path / "model", tmp_path / "model.gguf", token_rows)
    assert difference < 0.05
    assert argmax > 0.95


def _widen(module: torch.nn.Module) -> None:
    """Random weights that are far enough apart for positions to matter."""
    if isinstance(module, torch.nn.Linear):
        torch.nn.init.normal_(module.weight, std=0.1)


def test_an_unknown_architecture_is_refused_by_name(tiny_model: Path, tmp_path: Path) -> None:
    other = edited(tiny_model, tmp_path / "m", "config.json", lambda c: c.update(architectures=["MambaForCausalLM"]))
    with pytest.raises(UserError, match="MambaForCausalLM"):
        write_gguf(other, tmp_path / "out.gguf")


def test_a_scaled_rope_is_refused_by_name(tiny_model: Path, tmp_path: Path) -> None:
    rope = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0}
    other = edited(tiny_model, tmp_path / "m", "config.json", lambda config: config.update(rope_parameters=rope))
    with pytest.raises(UserError, match="yarn"):
        write_gguf(other, tmp_path / "out.gguf")


def test_an_unknown_pre_tokenizer_is_refused_by_its_pattern(tiny_model: Path, tmp_path: Path) -> None:
    def change(tokenizer: dict[str, Any]) -> None:
        tokenizer["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\w+|\W+"

    other = edited(tiny_model, tmp_path / "m", "tokenizer.json", change)
    with pytest.raises(UserError, match=r"w\+\|"):
        write_gguf(other, tmp_path / "out.gguf")


def test_values_too_large_for_float16_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    model.model.layers[0].mlp.up_proj.weight.data[0, 0] = 1e6
    shutil.copytree(tiny_model, tmp_path / "m")
    model.save_pretrained(tmp_path / "m")
    with pytest.raises(UserError, match=r"up_proj.*float16"):
        write_gguf(tmp_path / "m", tmp_path / "out.gguf")
    write_gguf(tmp_path / "m", tmp_path / "out.gguf", "bf16")


def test_every_weight_is_in_the_file(tiny_model: Path, tiny_gguf: Path) -> None:
    weights = AutoModelForCausalLM.from_pretrained(tiny_model).state_dict()
    tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(tiny_gguf).tensors}
    expected = weights["model.layers.1.self_attn.k_proj.weight"].numpy().astype(np.float16)
    assert np.array_equal(tensors["blk.1.attn_k.weight"], expected)
    assert np.array_equal(tensors["blk.0.attn_q.bias"], weights["model.layers.0.self_attn.q_proj.bias"].numpy())
    assert len(tensors) == len(weights) - 1  # the output matrix is the embedding


def test_the_file_keeps_the_special_tokens(tiny_model: Path, tiny_gguf: Path) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(tiny_model), LlamaModel(tiny_gguf)
    assert model.eos_text == tokenizer.eos_token
    assert set(model.control_tokens) == {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
    assert model.ends_generation(tokenizer.convert_tokens_to_ids("<|im_end|>"))
    model.close()


def described(base_model: str, run_name: str, card: Path = Path("no-card")) -> Description:
    return Description.of_run(base_model, run_name, card)


def test_files_are_named_by_the_gguf_convention() -> None:
    name = described("package:qa_core/models/Lectern-Reader-6M", "tiny").file_name(6_043_648, "Q4_K_M")
    assert name == "Lectern-Reader-6.0M-Tiny-v1.0-Q4_K_M.gguf"
    name = described("Qwen/Qwen2.5-3B-Instruct", "my_papers.2").file_name(3_085_938_688, "Q5_K_M")
    assert name == "Qwen2.5-3.1B-Instruct-My-papers-2-v1.0-Q5_K_M.gguf"


def test_a_file_says_what_it_was_made_from_and_under_which_licence(tiny_model: Path, tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("---\nlicense: apache-2.0\nlanguage: en\n---\n\n# A model\n")
    write_gguf(tiny_model, tmp_path / "m.gguf", "f16", described("Qwen/Qwen2.5-3B-Instruct", "papers", card))
    keys = gguf.GGUFReader(tmp_path / "m.gguf").fields
    said = {name.removeprefix("general."): field.contents() for name, field in keys.items() if "general." in name}
    assert said == {
        "architecture": "qwen2", "type": "model", "name": "Qwen2.5-3B-Instruct papers", "basename": "Qwen2.5",
        "finetune": "Instruct-Papers", "version": "v1.0", "size_label": "1.7M", "license": "apache-2.0",
        "file_type": 1, "quantization_version": 2, "sampling.temp": 0.0, "base_model.count": 1,
        "base_model.0.name": "Qwen2.5 3B Instruct", "base_model.0.organization": "Qwen",
        "base_model.0.repo_url": "https://huggingface.co/Qwen/Qwen2.5-3B-Instruct",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["# no front matter", "---\n: [broken\n---\n", "---\n- a list\n---\n"])
def test_a_card_without_a_licence_gives_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(text)
    assert described("a-folder", "papers", tmp_path / "README.md").license is None


def test_weights_that_are_no_numbers_are_refused_by_name(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    for number, value in enumerate((float("nan"), float("-inf"))):
        broken = tmp_path / f"m{number}"
        shutil.copytree(tiny_model, broken)
        model = AutoModelForCausalLM.from_pretrained(tiny_model)
        model.model.layers[1].mlp.gate_proj.weight.data[3, 5] = value
        model.save_pretrained(broken)
        for outtype in ("f32", "f16", "bf16", "q8_0"):
            with pytest.raises(UserError, match=r"gate_proj.*NaN or infinite"):
                write_gguf(broken, tmp_path / "out.gguf", outtype)
        with pytest.raises(UserError, match=r"gate_proj.*NaN or infinite"):
            merge_adapter(str(broken), adapter, tmp_path / "merged")


def test_an_adapter_for_another_base_is_refused_by_the_tensor_that_does_not_fit(adapter: Path, tmp_path: Path) -> None:
    base = make_model("qwen2", tmp_path / "other")
    with pytest.raises(UserError, match=r"the adapter changes model\.layers\.0.*does not have"):
        merge_adapter(str(base), adapter, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_vocabulary_of_another_size_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    for size in (300, 5000):
        other = edited(tiny_model, tmp_path / f"{size}", "config.json", lambda config: config.update(vocab_size=size))  # noqa: B023
        with pytest.raises(UserError, match=rf"embed_tokens.weight has the shape .* asks for \({size}, 256\)"):
            write_gguf(other, tmp_path / "out.gguf")

    def add_token(tokenizer: dict[str, Any]) -> None:
        tokenizer["added_tokens"].append(tokenizer["added_tokens"][0] | {"id": 6000, "content": "<|new|>"})

    grown = edited(tiny_model, tmp_path / "grown", "tokenizer.json", add_token)
    with pytest.raises(UserError, match=r"'<\|new\|>' has id 6000, the model has"):
        write_gguf(grown, tmp_path / "out.gguf")
