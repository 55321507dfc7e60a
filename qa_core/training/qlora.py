"""QLoRA: a base model in 4 bits and low-rank adapters on it (Dettmers et al., 2023, arXiv:2305.14314)."""

from __future__ import annotations

import os
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, set_seed

from qa_core.config import FinetuneSettings
from qa_core.errors import UserError
from qa_core.training import attention
from qa_core.training.loss import install_completion_loss


def load_tokenizer(location: str) -> Any:
    """The tokenizer of the model folder ``location``."""
    return AutoTokenizer.from_pretrained(location)


def load_quantized(location: str, settings: FinetuneSettings) -> Any:
    """The base model on this process's device, its linear layers in 4 bits when the settings say so.

    It attends within the rows of a packed sequence, and given labels returns a loss without logits.
    """
    attention.register()
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
        attn_implementation=attention.ROW_ATTENTION,
    )
    _keep_one_weight_layout(model)
    install_completion_loss(model)
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


def with_adapter(model: Any, settings: FinetuneSettings, seed: int) -> PeftModel:
    """``model`` with a fresh adapter, the only weights that train."""
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
        use_rslora=lora.use_rslora,
        use_dora=lora.use_dora,
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
