"""A language model of a few hundred kilobytes with random weights: it knows nothing, and an engine runs it."""

from __future__ import annotations

from pathlib import Path

TEXTS = [
    "The attention layer compares each query with every key, so its cost grows with the square of the length.",
    'You reply with one JSON object: {"pairs": [{"question": "", "answer": "", "evidence": [{"passage": 1}]}]}.',
    "Quantised weights are stored in blocks of 256 values that share a scale and a minimum.",
]


def build_tiny_teacher(out: Path, max_position_embeddings: int = 4096) -> Path:
    """Write a one-layer Qwen2 with a byte-level tokenizer and a ChatML template into ``out``."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from qa_core.training.tokenizer import TURN_END, save_tokenizer, train_tokenizer

    out.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(TEXTS, 512)
    save_tokenizer(tokenizer, max_position_embeddings, out)
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=max_position_embeddings,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.token_to_id(TURN_END),
    )
    torch.manual_seed(7)
    Qwen2ForCausalLM(config).float().save_pretrained(out)
    return out
