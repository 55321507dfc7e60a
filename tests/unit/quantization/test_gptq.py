from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from qa_core.generation.gguf_header import read_header
from qa_core.generation.llama import LlamaModel
from qa_core.quantization.code_grids import CodeGrid
from qa_core.quantization.divergence import compare_files
from qa_core.quantization.gptq import Feedback, round_again
from qa_core.quantization.moments import InputMoments, collect
from qa_core.quantization.quantize import quantize


@pytest.fixture
def moments(tiny_model: Path, token_rows: list[list[int]]) -> InputMoments:
    return collect(tiny_model, token_rows, full_up_to=4096)


def weights(path: Path) -> dict[str, np.ndarray]:
    return {t.name: gguf.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}


@pytest.mark.parametrize("quantization", ["Q4_K_M", "IQ4_XS", "Q5_K_M"])
def test_the_predictions_come_nearer_to_those_of_the_original(
    tiny_gguf: Path, moments: InputMoments, token_rows: list[list[int]], tmp_path: Path, quantization: str
) -> None:
    out, divergences = tmp_path / "out.gguf", []
    quantize(tiny_gguf, out, quantization, moments.importance, n_threads=1)
    original, nearest = LlamaModel(tiny_gguf), LlamaModel(out)
    divergences.append(compare_files(original, nearest, token_rows, 1).mean_kld)
    nearest.close()
    assert round_again(tiny_gguf, out, moments, n_threads=1) >= 8
    divergences.append(compare_files(original, LlamaModel(out), token_rows, 1).mean_kld)
    assert divergences[1] < 0.8 * divergences[0]


def test_types_and_size_stay_and_so_does_what_has_more_bits(
    tiny_gguf: Path, moments: InputMoments, tmp_path: Path
) -> None:
    out = tmp_path / "out.gguf"
    quantize(tiny_gguf, out, "Q4_K_M", moments.importance, n_threads=1)
    header, size, before = read_header(out), out.stat().st_size, weights(out)
    round_again(tiny_gguf, out, moments, n_threads=1)
    after = weights(out)
    assert (read_header(out).tensor_types, out.stat().st_size) == (header.tensor_types, size)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {name for name in moments.sums if header.tensors[name].type.name == "Q4_K"}


def test_no_row_has_a_larger_error_on_the_calibration_than_with_the_nearest_values(
    tiny_gguf: Path, moments: InputMoments, tmp_path: Path
) -> None:
    out, exact = tmp_path / "out.gguf", weights(tiny_gguf)
    quantize(tiny_gguf, out, "Q4_K_M", moments.importance, n_threads=1)
    nearest = weights(out)
    round_again(tiny_gguf, out, moments, n_threads=1)
    rounded = weights(out)
    for name, products in moments.sums.items():
        errors = [
            np.einsum("ri,ij,rj->r", difference, products, difference)
            for difference in (rounded[name] - exact[name], nearest[name] - exact[name])
        ]
        assert (errors[0] <= errors[1] * (1 + 1e-5)).all()


def test_layers_of_which_only_squares_are_known_stay_as_they_are(
    tiny_model: Path, tiny_gguf: Path, token_rows: list[list[int]], tmp_path: Path
) -> None:
    squares, out = collect(tiny_model, token_rows), tmp_path / "out.gguf"
    quantize(tiny_gguf, out, "Q4_K_M", squares.importance, n_threads=1)
    before = out.read_bytes()
    assert round_again(tiny_gguf, out, squares, n_threads=1) == 0
    assert out.read_bytes() == before


def test_a_layer_that_no_token_reached_is_left_alone(tiny_gguf: Path, moments: InputMoments, tmp_path: Path) -> None:
    silent = InputMoments({name: np.zeros_like(total) for name, total in moments.sums.items()}, 1, 1, 1)
    out = tmp_path / "out.gguf"
    quantize(tiny_gguf, out, "Q4_K_M", None, n_threads=1)
    before = out.read_bytes()
    round_again(tiny_gguf, out, silent, n_threads=1)
    assert out.read_bytes() == before


def test_independent_inputs_get_the_nearest_values_and_equal_ones_share_their_error() -> None:
    grid = CodeGrid(np.arange(16, dtype=np.float32), *(np.full((1, 4), value, np.float32) for value in (0.0, 1.0)))
    row = torch.tensor([[3.4, 3.4, 3.4, 3.4]])
    assert Feedback(np.eye(4)).codes(row, grid).tolist() == [[3, 3, 3, 3]]
    assert Feedback(np.ones((4, 4))).codes(row, grid).sum() == 14  # of 13.6, where the nearest values are 12


def test_the_codes_are_those_of_optimal_brain_surgery_one_weight_at_a_time() -> None:
    """300 inputs, which are more than are rounded together, of unequal strength, on grids that go either way."""
    draw = np.random.default_rng(0)
    inputs = draw.standard_normal((900, 300)) @ draw.standard_normal((300, 300)) * draw.uniform(0.3, 3, 300)
    products = inputs.T @ inputs
    weights = draw.standard_normal((3, 300)).astype(np.float32)
    step = draw.choice([-0.3, 0.0, 0.2, 0.4], (3, 300)).astype(np.float32)
    grid = CodeGrid(np.arange(16, dtype=np.float32), -7.5 * step, step)
    codes = Feedback(products).codes(torch.from_numpy(weights), grid).numpy()
    expected = np.stack([one_at_a_time(*row, products) for row in zip(weights, grid.offset, grid.step, strict=True)])
    has_a_choice = step != 0
    assert (codes == expected)[has_a_choice].mean() > 0.99  # float32 may decide a tie otherwise, and others follow


def one_at_a_time(weights: np.ndarray, offset: np.ndarray, step: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Round the weight with the strongest input left, and change those after it to make up for that one's error."""
    mean = np.diagonal(products).mean()
    inverse = np.linalg.inv(products / mean + 0.01 * np.eye(len(weights)))
    left, codes = weights.astype(float), np.zeros(len(weights), int)
    for channel in np.argsort(-np.diagonal(products), kind="stable"):
        size = step[channel]
        codes[channel] = np.clip(np.rint((left[channel] - offset[channel]) / size), 0, 15) if size else 0
        error = left[channel] - offset[channel] - size * codes[channel]
        left -= error / inverse[channel, channel] * inverse[:, channel]
        inverse -= np.outer(inverse[:, channel], inverse[channel]) / inverse[channel, channel]
    return codes
