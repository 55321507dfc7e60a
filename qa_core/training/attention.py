"""Attention within each row of a packed sequence, and nowhere else."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

ROW_ATTENTION = "lectern_row_attention"
"""Name for ``attn_implementation``, once :func:`register` was called."""


def register() -> None:
    """Make :data:`ROW_ATTENTION` known to transformers, which gives it no mask: causality is the kernels' own."""
    AttentionInterface.register(ROW_ATTENTION, row_attention)


def row_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int = 0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention of each row with itself, in transformers' calling convention.

    On a GPU in one varlen flash kernel; on a CPU row by row, which a block mask over the whole sequence would only
    slow down: it computes every pair of rows. Without ``cu_seq_lens_q`` the sequence is one row (generation).

    Args:
        query: float[1, heads, tokens, dimension]; key and value may have fewer heads (grouped queries).
        cu_seq_lens_q: int32[rows + 1], the first token of each row and the end of the last.

    Returns:
        float[1, tokens, heads, dimension], and None for the weights, which are never formed.
    """
    if cu_seq_lens_q is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling)
    if query.is_cuda:
        return _varlen(query, key, value, scaling, cu_seq_lens_q, max_length_q), None
    lengths = cu_seq_lens_q.diff().tolist()
    split = (states.split(lengths, dim=2) for states in (query, key, value))
    rows = [sdpa_attention_forward(module, *row, None, scaling=scaling)[0] for row in zip(*split, strict=True)]
    return torch.cat(rows, dim=1), None


def _varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
    starts: torch.Tensor,
    longest: int,
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    # The kernel takes 16-bit floats only; norms and rotations may have left 32.
    half = query.dtype if query.dtype.itemsize == 2 else torch.get_autocast_dtype("cuda")
    states = [tensor[0].transpose(0, 1).to(half) for tensor in (query, key, value)]
    causal, grouped = (-1, 0), query.shape[1] != key.shape[1]
    mixed = varlen_attn(
        *states, starts, starts, longest, longest, scale=scaling, window_size=causal, enable_gqa=grouped
    )
    assert isinstance(mixed, torch.Tensor)
    return mixed.to(query.dtype)[None]
