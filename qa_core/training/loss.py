"""Cross entropy over the answers' tokens only, without a table of logits."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import LinearCrossEntropyOptions
from torch.nn.functional import linear_cross_entropy
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from qa_core.training.sft import IGNORED

_TOKENS_AT_ONCE = 256
"""Tokens whose logits exist at the same time: 156 MB in 32 bits for the 151,936 words of Qwen2.5."""


def install_completion_loss(model: PreTrainedModel) -> None:
    """Let ``model(labels=...)`` return the loss of :func:`completion_loss` and no logits.

    A model of its own class would not load by ``AutoModelForCausalLM``, so the method of this one object changes, as
    in Liger's patches.
    """
    decoder, head, with_logits = getattr(model, model.base_model_prefix), model.get_output_embeddings(), model.forward

    def forward(
        input_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **inputs: Any,
    ) -> CausalLMOutputWithPast:
        if labels is None:
            return with_logits(input_ids=input_ids, **inputs)
        hidden = decoder(input_ids=input_ids, **{**inputs, "use_cache": False}).last_hidden_state
        return CausalLMOutputWithPast(loss=completion_loss(hidden, head.weight, labels, num_items_in_batch))

    model.forward = forward


def completion_loss(
    hidden: torch.Tensor, head: torch.Tensor, labels: torch.Tensor, num_items: torch.Tensor | int | None = None
) -> torch.Tensor:
    """Mean cross entropy of the labelled tokens, or their sum divided by ``num_items``.

    Only tokens before a labelled one meet the vocabulary (about a tenth where passages are in the prompt), and of those
    256 at a time.

    Args:
        hidden: float[1, tokens, dimension], the decoder's last states.
        head: float[words, dimension], the output embeddings.
        labels: int64[1, tokens], :data:`IGNORED` where nothing is learned; not shifted.
    """
    targets = labels[0, 1:]
    learned = targets != IGNORED
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else head.dtype
    losses = linear_cross_entropy(
        hidden[0, :-1][learned].to(dtype),
        head.to(dtype),
        targets[learned],
        reduction="none",
        options=LinearCrossEntropyOptions(batch_chunk_size=_TOKENS_AT_ONCE, chunking_method=None),
    )
    # In 16 bits a sum would lose what the single losses still have.
    return losses.float().sum() / (learned.sum() if num_items is None else num_items)
