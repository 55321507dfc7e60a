"""Attention over contexts with branches, without the work for what a branch does not see.

A dense mask would cost twice as much: most pairs of positions are of two branches.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from transformers import AttentionInterface

from tools.reader.guide import Guide

NAME = "reader_branches"


def branch_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    spans: list[list[int]] | None = None,
    guide: Guide | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """``[rows, heads, length, size]`` -> ``[rows, length, heads, size]``.

    Args:
        spans: for each row the lengths of its prompt, of each branch, and of the padding, in order.
        guide: hears where the heads look.
    """
    if spans is None:
        raise ValueError("branch attention needs the spans of the batch")
    if guide is not None:
        guide.hear(module.layer_idx, query, key, scaling)
    rows = [
        _row(*(part.split(lengths, dim=1) for part in parts), scaling)
        for *parts, lengths in zip(query.unbind(0), key.unbind(0), value.unbind(0), spans, strict=True)
    ]
    return torch.stack(rows).transpose(1, 2).contiguous(), None


def _row(query: Any, key: Any, value: Any, scaling: float) -> torch.Tensor:
    """``[heads, length, size]`` of one row, whose parts are the prompt, the branches and the padding."""
    done = [
        F.scaled_dot_product_attention(query[0][None], key[0][None], value[0][None], is_causal=True, scale=scaling)[0]
    ]
    for own_query, own_key, own_value in zip(query[1:-1], key[1:-1], value[1:-1], strict=True):
        keys, values = torch.cat([key[0], own_key], dim=1), torch.cat([value[0], own_value], dim=1)
        mask = _mask(key[0].shape[1], own_key.shape[1])
        # Four dimensions, because only then is the fused kernel taken.
        out = F.scaled_dot_product_attention(own_query[None], keys[None], values[None], attn_mask=mask, scale=scaling)
        done.append(out[0])
    done.append(torch.zeros_like(query[-1]))
    return torch.cat(done, dim=1)


@lru_cache(maxsize=4096)
def _mask(before: int, length: int) -> torch.Tensor:
    """bool[length, before + length]: everything before, and of its own what is not later."""
    return torch.ones(length, before + length, dtype=torch.bool).tril(before)


AttentionInterface.register(NAME, branch_attention)
