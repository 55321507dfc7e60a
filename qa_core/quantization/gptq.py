"""Rounding weights one input channel after the other, so that later ones make up for the errors of earlier ones.

llama.cpp chooses the scales of each block and then takes the nearest value for every weight alone. Here the scales stay
and the codes are chosen again: GPTQ (Frantar et al. 2023, https://arxiv.org/abs/2210.17323), with channels in the order
of their importance. The file keeps its types and its size, and llama.cpp reads it like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
import torch

from qa_core.quantization.code_grids import CodeGrid, write_codes
from qa_core.quantization.moments import InputMoments

_DAMPING = 0.01
"""Added to the diagonal, as a share of its mean: the moments of few tokens say little about rare directions."""
_TOGETHER = 128
"""Channels whose errors reach the rest in one product."""


def round_again(f16: Path, quantized: Path, moments: InputMoments, n_threads: int) -> int:
    """Choose the codes of ``quantized`` (made from ``f16``) again, in place; returns of how many tensors.

    A row keeps the codes of llama.cpp where these have the smaller error on the calibration rows.
    """
    torch.set_num_threads(n_threads)
    originals = {tensor.name: tensor for tensor in gguf.GGUFReader(f16).tensors}
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(quantized, "r+").tensors}
    count = 0
    for names in _by_input(moments.sums):
        grids = {name: grid for name in names if (grid := CodeGrid.of(tensors[name]))}
        if not grids:
            continue
        feedback = Feedback(moments.sums[names[0]])
        for name, grid in grids.items():
            _round_tensor(originals[name], tensors[name], grid, feedback)
        count += len(grids)
    return count


def _by_input(sums: Mapping[str, npt.NDArray[np.floating]]) -> list[list[str]]:
    """Names of the layers with the same input, for each input of which all products are known."""
    layers: dict[int, list[str]] = {}
    for name, total in sums.items():
        if total.ndim == 2:
            layers.setdefault(id(total), []).append(name)
    return list(layers.values())


def _round_tensor(original: gguf.ReaderTensor, tensor: gguf.ReaderTensor, grid: CodeGrid, feedback: Feedback) -> None:
    weights, nearest = _values(original), _values(tensor)
    codes = feedback.codes(weights, grid)
    values = torch.from_numpy(grid.offset) + torch.from_numpy(grid.step) * torch.from_numpy(grid.levels)[codes]
    better = feedback.errors(weights - values) < feedback.errors(weights - nearest)
    if better.any():
        write_codes(tensor, codes.numpy().astype(np.uint8), better.numpy())


class Feedback:
    """How an error in one input channel of a layer can be made up for in the others."""

    def __init__(self, products: npt.NDArray[np.floating]) -> None:
        """
        Args:
            products: sum of x x^T over the layer's inputs x, [inputs, inputs].
        """
        exact = torch.from_numpy(products.astype(np.float64))
        hessian = exact / max(float(exact.diagonal().mean()), np.finfo(np.float64).tiny)
        self._hessian = hessian.float()
        self._order = torch.argsort(hessian.diagonal(), descending=True, stable=True)
        self._factor = _factor(hessian[self._order][:, self._order])

    def codes(self, weights: torch.Tensor, grid: CodeGrid) -> torch.Tensor:
        """Codes int64[rows, inputs] for float32 ``weights`` of the same shape."""
        order, factor = self._order, self._factor
        # One line of memory for each channel, as one after the other is rounded: [inputs, rows].
        left, offset, step = (
            part.T[order].contiguous() for part in (weights, torch.from_numpy(grid.offset), torch.from_numpy(grid.step))
        )
        levels = torch.from_numpy(grid.levels)
        borders = (levels[1:] + levels[:-1]) / 2
        codes, errors = torch.empty(left.shape, dtype=torch.int64), torch.empty_like(left[:_TOGETHER])
        for start in range(0, len(order), _TOGETHER):
            end = min(start + _TOGETHER, len(order))
            for channel in range(start, end):
                steps = (left[channel] - offset[channel]) / step[channel]
                chosen = torch.bucketize(steps.nan_to_num(0.0), borders)
                error = (left[channel] - offset[channel] - step[channel] * levels[chosen]) / factor[channel, channel]
                left[channel + 1 : end] -= torch.outer(factor[channel, channel + 1 : end], error)
                codes[order[channel]], errors[channel - start] = chosen, error
            left[end:] -= factor[start:end, end:].T @ errors[: end - start]
        return codes.T

    def errors(self, differences: torch.Tensor) -> torch.Tensor:
        """Squared error of each output, float32[rows], where its weights [rows, inputs] differ by ``differences``."""
        return ((differences @ self._hessian) * differences).sum(1)


def _factor(hessian: torch.Tensor) -> torch.Tensor:
    """Upper Cholesky factor, in float32, of the inverse of the damped ``hessian``."""
    share = _DAMPING * float(hessian.diagonal().mean()) or 1.0  # 1 where no token reached the layer
    damped = hessian + share * torch.eye(len(hessian), dtype=torch.float64)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    return torch.linalg.cholesky(inverse, upper=True).float()


def _values(tensor: gguf.ReaderTensor) -> torch.Tensor:
    """float32[rows, inputs]."""
    return torch.from_numpy(np.array(gguf.dequantize(tensor.data, tensor.tensor_type), np.float32))
