from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from qa_core.quantization.moments import InputMoments, collect
from qa_core.quantization.sizes import moments_bytes

ALL = 4096


def equal(a: InputMoments, b: InputMoments) -> bool:
    same = all(np.array_equal(a.sums[name], b.sums[name]) for name in a.sums)
    counts = [(one.num_tokens, one.num_rows, one.length) for one in (a, b)]
    return same and a.sums.keys() == b.sums.keys() and counts[0] == counts[1]


def num_sums(moments: InputMoments) -> int:
    return len({id(total) for total in moments.sums.values()})


def test_the_sums_are_those_of_the_layers_inputs(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    row = list(range(20, 60))
    moments = collect(tiny_model, [row], full_up_to=ALL)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    with torch.inference_mode():
        hidden = model.model.layers[0].input_layernorm(model.model.embed_tokens(torch.tensor(row))).double()
    np.testing.assert_allclose(moments.sums["blk.0.attn_k.weight"], hidden.T @ hidden, rtol=1e-4, atol=1e-4)
    assert moments.num_tokens == 40
    assert set(moments.sums) == {
        f"blk.{layer}.{part}.weight"
        for layer in (0, 1)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    }


def test_the_importance_matrix_is_their_diagonal(tiny_model: Path, token_rows: list[list[int]]) -> None:
    squares, products = (collect(tiny_model, token_rows, full_up_to=width) for width in (0, ALL))
    assert {total.ndim for total in squares.sums.values()} == {1}
    assert {total.ndim for total in products.sums.values()} == {2}
    for name, mean in squares.importance.means.items():
        np.testing.assert_allclose(products.importance.means[name], mean, rtol=1e-5)


def test_layers_with_too_many_inputs_get_the_diagonal_alone(tiny_model: Path, token_rows: list[list[int]]) -> None:
    sums = collect(tiny_model, token_rows[:1], full_up_to=256).sums
    assert sums["blk.0.attn_q.weight"].shape == (256, 256)
    assert sums["blk.0.ffn_down.weight"].shape == (768,)


def test_layers_with_the_same_input_share_one_sum(tiny_model: Path, token_rows: list[list[int]]) -> None:
    moments = collect(tiny_model, token_rows[:2], full_up_to=ALL)
    assert moments.sums["blk.0.attn_q.weight"] is moments.sums["blk.0.attn_v.weight"]
    assert moments.sums["blk.0.attn_q.weight"] is not moments.sums["blk.1.attn_q.weight"]
    assert num_sums(moments) == num_sums(moments.merge(moments)) == 8


@pytest.mark.parametrize("full_up_to", [0, ALL])
def test_parts_merge_to_exactly_the_whole(tiny_model: Path, token_rows: list[list[int]], full_up_to: int) -> None:
    whole = collect(tiny_model, token_rows, full_up_to=full_up_to)
    first, second, third = (
        collect(tiny_model, token_rows[part], full_up_to=full_up_to) for part in (slice(0, 3), slice(3, 4), slice(4, 8))
    )
    assert equal(first.merge(second).merge(third), whole)
    assert equal(third.merge(first.merge(second)), whole)


@pytest.mark.parametrize("full_up_to", [0, 256, ALL])
def test_saved_moments_are_read_back(
    tiny_model: Path, token_rows: list[list[int]], tmp_path: Path, full_up_to: int
) -> None:
    moments = collect(tiny_model, token_rows[:2], full_up_to=full_up_to)
    moments.save(tmp_path / "a.safetensors")
    loaded = InputMoments.load(tmp_path / "a.safetensors")
    for name, total in moments.sums.items():
        np.testing.assert_allclose(loaded.sums[name], total, rtol=1e-6)
    assert num_sums(loaded) == 8
    loaded.save(tmp_path / "b.safetensors")
    assert equal(InputMoments.load(tmp_path / "b.safetensors"), loaded)
    config = json.loads((tiny_model / "config.json").read_text())
    assert moments_bytes(config, full_up_to) == pytest.approx((tmp_path / "a.safetensors").stat().st_size, abs=3000)
