"""The base model in four bits, and the adapters on it."""

from __future__ import annotations

import pytest
import torch

from qa_core.config import FinetuneSettings, LoraSettings, QuantizedLoading, TrainCompute
from qa_core.training.qlora import load_quantized, with_adapter


def settings(**values: object) -> FinetuneSettings:
    defaults = {"gradient_checkpointing": False, "compute": TrainCompute(use_gpu=False)}
    return FinetuneSettings.model_validate(defaults | values)


def test_linear_layers_are_loaded_in_four_bits_with_double_quantisation(base: str) -> None:
    model = load_quantized(base, settings())
    weight = model.model.layers[0].self_attn.q_proj.weight
    assert weight.dtype == torch.uint8
    assert weight.quant_state.quant_type == "nf4"
    assert weight.quant_state.nested
    plain = load_quantized(base, settings(quantization=QuantizedLoading(load_in_4bit=False)))
    assert plain.model.layers[0].self_attn.q_proj.weight.dtype == torch.float32


def test_an_evaluation_leaves_the_weights_as_they_are_for_the_next_training_step(base: str) -> None:
    model = load_quantized(base, settings())
    weight, tokens = model.model.layers[0].self_attn.q_proj.weight, torch.tensor([[5, 6, 7]])
    before = weight.data.clone()
    model.eval()
    with torch.no_grad():
        evaluated = model(tokens).logits
    assert torch.equal(weight.data, before)
    assert torch.equal(model.train()(tokens).logits, evaluated)


@pytest.mark.parametrize(
    ("lora", "scaling", "magnitudes"),
    [({}, 2.0, False), ({"use_rslora": True}, 4.0, False), ({"use_dora": True}, 2.0, True)],
)
def test_rank_stabilised_and_weight_decomposed_adapters_are_a_setting(
    base: str, lora: dict[str, bool], scaling: float, magnitudes: bool
) -> None:
    chosen = LoraSettings(r=4, lora_alpha=8, target_modules=("q_proj",), **lora)
    adapted = with_adapter(load_quantized(base, settings()), settings(lora=chosen), 1)
    layer = adapted.base_model.model.model.layers[0].self_attn.q_proj
    assert layer.scaling["default"] == scaling
    assert bool(layer.lora_magnitude_vector) is magnitudes
    adapted(input_ids=torch.tensor([[5, 6, 7]]), labels=torch.tensor([[-100, 6, 7]])).loss.backward()
    assert layer.lora_B["default"].weight.grad.abs().sum() > 0
