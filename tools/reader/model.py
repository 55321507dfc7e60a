"""The reader before training: a small Qwen2 model, of the sizes that its outline needs."""

from __future__ import annotations

from typing import Any

import torch
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from qa_core.errors import UserError
from qa_core.training.tokenizer import END_OF_TEXT, TURN_END
from tools.reader.outline import lay_in

HIDDEN, HEADS, FEWEST_LAYERS = 256, 4, 6
_THETA = 1e6
"""As in Qwen2.5: half of the pairs hardly turn within a prompt, which is where words are matched."""


def new_reader(tokenizer: Any, layers: int, intermediate_size: int, positions: int, seed: int) -> Qwen2ForCausalLM:
    """A model in float32 for ``tokenizer``, hidden size 256 and four heads of 64.

    Raises:
        UserError: for fewer layers than the steps of reading take, or a feed-forward size that k-quants cannot take.
    """
    if layers < FEWEST_LAYERS or intermediate_size % HIDDEN:
        raise UserError(
            f"a reader of {layers} layers and intermediate size {intermediate_size} cannot be built",
            f"give --layers of {FEWEST_LAYERS} or more, for the steps of reading, and --intermediate-size as a"
            f" multiple of {HIDDEN}, for k-quants",
        )
    end, pad = (tokenizer.convert_tokens_to_ids(token) for token in (TURN_END, END_OF_TEXT))
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=intermediate_size,
        num_hidden_layers=layers,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": _THETA},
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config).float()
        lay_in(model, [tokenizer.decode([token]) for token in range(len(tokenizer))])
    model.generation_config = GenerationConfig(eos_token_id=[end, pad], pad_token_id=pad)
    return model
