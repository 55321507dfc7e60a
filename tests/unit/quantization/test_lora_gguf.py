from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import torch

from qa_core.config import GenerationCompute, GenerationSettings
from qa_core.generation.chat_model import ChatModel
from qa_core.generation.engine import Engine, SamplingParams
from qa_core.generation.llama import LlamaModel
from qa_core.generation.llama_context import LlamaContext
from qa_core.generation.lora_adapter import LoraAdapter
from qa_core.quantization.convert import merge_adapter, write_gguf
from qa_core.quantization.description import Description
from qa_core.quantization.lora_gguf import write_lora_gguf
from tests.unit.quantization.golden_models import make_model


def logits(model_file: Path, row: Sequence[int], adapter: Path | None = None) -> np.ndarray:
    """Logits [tokens, vocabulary] of the GGUF file, with the adapter laid over it."""
    with closing(LlamaModel(model_file)) as model:
        over = LoraAdapter(adapter, model) if adapter else None
        with closing(LlamaContext(model, 128, 1, 128, 1, over)) as context:
            context.decode(row, range(len(row)), [0] * len(row), [True] * len(row))
            return np.stack([context.logits(place) for place in range(len(row))])


def test_a_base_file_with_the_adapter_file_is_the_merged_model(
    tiny_model: Path, tiny_gguf: Path, adapter: Path, token_rows: Sequence[Sequence[int]], tmp_path: Path
) -> None:
    write_lora_gguf(tiny_model, adapter, tmp_path / "adapter.gguf", Description())
    merge_adapter(str(tiny_model), adapter, tmp_path / "merged")
    write_gguf(tmp_path / "merged", tmp_path / "merged.gguf")
    row = token_rows[2]
    base, laid_over = logits(tiny_gguf, row), logits(tiny_gguf, row, tmp_path / "adapter.gguf")
    merged = logits(tmp_path / "merged.gguf", row)
    change, left = np.abs(base - merged).max(), np.abs(laid_over - merged).max()
    print(f"largest difference of a logit from the merged model's: base {change:.4f}, base with adapter {left:.4f}")
    assert change > 0.3
    assert left < 0.05 * change


def test_llamas_query_rows_are_rearranged_like_the_base_weights(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = make_model("llama", tmp_path / "llama", dtype="F32")
    torch.manual_seed(3)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "k_proj"], use_rslora=True, task_type="CAUSAL_LM")
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(model), config)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=3.0)
    adapted.save_pretrained(tmp_path / "adapter")
    write_gguf(model, tmp_path / "base.gguf", "f32")
    write_lora_gguf(model, tmp_path / "adapter", tmp_path / "adapter.gguf", Description())
    row = list(range(40, 80))
    with torch.inference_mode():
        expected = adapted.float()(torch.tensor([row])).logits[0].numpy()
    actual = logits(tmp_path / "base.gguf", row, tmp_path / "adapter.gguf")
    assert np.abs(actual - expected).max() < 0.05 * np.abs(logits(tmp_path / "base.gguf", row) - expected).max()


def test_ranks_that_need_different_scales_are_all_scaled_right(
    tiny_model: Path, tiny_gguf: Path, adapter: Path, token_rows: Sequence[Sequence[int]], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    uneven = tmp_path / "uneven"
    shutil.copytree(adapter, uneven)
    weights = load_file(uneven / "adapter_model.safetensors")
    for layer in range(2):
        stem = f"base_model.model.model.layers.{layer}.mlp.down_proj"
        weights[f"{stem}.lora_A.weight"] = weights[f"{stem}.lora_A.weight"][:1].contiguous()
        weights[f"{stem}.lora_B.weight"] = weights[f"{stem}.lora_B.weight"][:, :1].contiguous()
    save_file(weights, uneven / "adapter_model.safetensors")
    config = json.loads((uneven / "adapter_config.json").read_text())
    (uneven / "adapter_config.json").write_text(json.dumps(config | {"use_rslora": True}))
    write_lora_gguf(tiny_model, uneven, tmp_path / "adapter.gguf", Description())
    merge_adapter(str(tiny_model), uneven, tmp_path / "merged")
    write_gguf(tmp_path / "merged", tmp_path / "merged.gguf")
    row = token_rows[2]
    base, merged = logits(tiny_gguf, row), logits(tmp_path / "merged.gguf", row)
    assert np.abs(logits(tiny_gguf, row, tmp_path / "adapter.gguf") - merged).max() < 0.05 * np.abs(base - merged).max()


def test_an_engine_with_the_adapter_answers_as_the_merged_model_and_the_base_beside_it_as_itself(
    tiny_model: Path, tiny_gguf: Path, adapter: Path, tmp_path: Path
) -> None:
    write_lora_gguf(tiny_model, adapter, tmp_path / "adapter.gguf", Description())
    merge_adapter(str(tiny_model), adapter, tmp_path / "merged")
    write_gguf(tmp_path / "merged", tmp_path / "merged.gguf")
    settings = GenerationSettings(n_ctx=256, n_seq_max=4, compute=GenerationCompute(n_threads=1))
    prompts = ["The attention layer", "We train", "Table 2 shows", "def score(query", "Retrieval", "Quantised", "The"]
    greedy = SamplingParams(max_tokens=24)

    def texts(engine: Engine) -> list[str]:
        return [completion.text for completion in engine.generate(prompts, greedy)]

    with closing(Engine(tiny_gguf, settings)) as base, closing(Engine(tmp_path / "merged.gguf", settings)) as merged:
        expected, plain = texts(merged), texts(base)
    with closing(ChatModel(tiny_gguf)) as model, closing(Engine(model, settings)) as base:
        adapted = Engine(model, settings, adapter=tmp_path / "adapter.gguf")
        with closing(adapted), ThreadPoolExecutor(2) as pool:  # at the same time, on the same weights
            ours, its = pool.submit(texts, adapted), pool.submit(texts, base)
            assert (ours.result(), its.result()) == (expected, plain)
        assert texts(base) == plain
    assert sum(one != other for one, other in zip(expected, plain, strict=True)) > len(plain) / 2
