"""The reader before training: a small Qwen2 model whose first layers can already copy.

Copying out of a prompt takes two layers (a head that brings each token the one before it, and a head that looks for the
token just said and takes what followed; Olsson et al., "In-context Learning and Induction Heads", 2022, arXiv
2209.11895). Training has to come upon them first. Weights that begin near such a solution save that time (mimetic
initialisation: Trockman and Kolter, 2023, arXiv 2305.09828). Training is free to change every one of
them, and does.
"""

from __future__ import annotations

import torch
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from qa_core.errors import UserError

HIDDEN, HEADS, HEAD = 256, 4, 64
_PAIRS = HEAD // 2
_THETA = 1e6
_SLOW = slice(16, 32)
"""Pairs of dimensions that the rotary embedding hardly turns within a prompt: what is matched there is found at any
distance."""
_EMBEDDING_STD = 0.05
_POSITION_BIAS = 7.0
"""Of the biases that make a head look at one distance: the right place weighs e^3 to e^5 times its neighbours."""
_WRITE, _SAY, _MATCH, _SAME = 0.06, 0.5, 4.0, 1.0
"""Gains: what the first and the third layer add to the hidden vector, how sharply a head looks for what followed a
token, and for the same token."""
_QUIET = 0.1
"""Of everything else that adds to the hidden vector, so that it does not drown what is laid in."""


def new_reader(
    vocab_size: int, layers: int, intermediate_size: int, *, end: int, pad: int, positions: int, seed: int
) -> Qwen2ForCausalLM:
    """A model in float32, hidden size 256 and four heads of 64.

    Raises:
        UserError: for fewer than the three layers that are laid in, or a feed-forward size that k-quants cannot take.
    """
    if layers < 3 or intermediate_size % HIDDEN:
        raise UserError(
            f"a reader of {layers} layers and intermediate size {intermediate_size} cannot be built",
            "give --layers of 3 or more, for the heads that are laid in, and --intermediate-size as a multiple of 256,"
            " for k-quants",
        )
    config = Qwen2Config(
        vocab_size=vocab_size,
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
        with torch.no_grad():
            _lay_in_copying(model)
    model.generation_config = GenerationConfig(eos_token_id=[end, pad], pad_token_id=pad)
    return model


def _lay_in_copying(model: Qwen2ForCausalLM) -> None:
    model.model.embed_tokens.weight.normal_(0.0, _EMBEDDING_STD)
    for layer in model.model.layers:
        layer.mlp.down_proj.weight.mul_(_QUIET)
        layer.self_attn.o_proj.weight.mul_(_QUIET)
    first, second, third = (layer.self_attn for layer in model.model.layers[:3])
    token = _orthonormal(HEAD)
    before = _orthonormal(3 * HEAD).split(HEAD)
    """Where the first layer writes the token one, two and three places back."""
    for head, place in enumerate(before):
        _look_back(first, head, distance=head + 1)
        _head(first.v_proj, head).copy_(token)
        _columns(first.o_proj, head).copy_(_WRITE * place.T)
    identity = _orthonormal(HIDDEN).split(HEAD)
    for head in range(HEADS):
        # Equal queries and keys: a word of the question finds the same word in a passage.
        _match(second, head, *(_SAME * _orthonormal(_PAIRS),) * 2)
        _match(third, head, *_what_followed(head, token, before))
        _head(third.v_proj, head).copy_(identity[head])
        _columns(third.o_proj, head).copy_(_SAY * identity[head].T)


def _what_followed(head: int, token: torch.Tensor, before: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Queries and keys, float[32, 256]: of the token just said with those one place back, and for half of the heads
    also of the one before that."""
    part = slice(0, _PAIRS) if head % 2 == 0 else slice(_PAIRS, HEAD)
    if head < HEADS // 2:
        return _MATCH * token[part], _MATCH * before[0][part]
    half = slice(part.start, part.start + _PAIRS // 2)
    return (
        _MATCH * torch.cat([token[half], before[0][half]]),
        _MATCH * torch.cat([before[0][half], before[1][half]]),
    )


def _look_back(attention: torch.nn.Module, head: int, distance: int) -> None:
    """Biases whose rotated product is largest ``distance`` places back, whatever the tokens are."""
    angles = distance * _THETA ** (-torch.arange(_PAIRS) / _PAIRS)
    query = torch.cat([torch.ones(_PAIRS), torch.zeros(_PAIRS)])
    _bias(attention.q_proj, head).copy_(_POSITION_BIAS * query)
    _bias(attention.k_proj, head).copy_(_POSITION_BIAS * torch.cat([angles.cos(), angles.sin()]))


def _match(attention: torch.nn.Module, head: int, query: torch.Tensor, key: torch.Tensor) -> None:
    """Attend to where ``key`` of the other vector equals ``query`` of the own; float[32, 256] each."""
    half = _PAIRS // 2
    for projection, rows in ((attention.q_proj, query), (attention.k_proj, key)):
        placed = _head(projection, head)
        placed[_SLOW] += rows[:half]
        placed[_SLOW.start + _PAIRS : _SLOW.stop + _PAIRS] += rows[half:]


def _orthonormal(rows: int) -> torch.Tensor:
    """float[rows, 256]"""
    return torch.linalg.qr(torch.randn(HIDDEN, rows))[0].T.contiguous()


def _head(projection: torch.nn.Module, head: int) -> torch.Tensor:
    return projection.weight[head * HEAD : (head + 1) * HEAD]


def _bias(projection: torch.nn.Module, head: int) -> torch.Tensor:
    return projection.bias[head * HEAD : (head + 1) * HEAD]


def _columns(projection: torch.nn.Module, head: int) -> torch.Tensor:
    return projection.weight[:, head * HEAD : (head + 1) * HEAD]
