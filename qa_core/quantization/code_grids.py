"""The values that the weights of a quantised tensor can take, and the codes that say which.

A block of 32 or 256 weights has scales and codes. With the scales as they are, each weight is
``offset + step * level[code]``. Formats: ggml, ggml-common.h (block_q4_K, block_iq4_xs and so on).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gguf
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Format:
    weights: int
    """Of a block."""
    codes: slice
    """Bytes of a block that hold its codes."""
    levels: npt.NDArray[np.float32]
    """By code, ascending."""
    pack: Callable[[Bytes], Bytes]
    """Codes [blocks, weights] to bytes [blocks, bytes]."""


def _nibbles(width: int) -> Callable[[Bytes], Bytes]:
    """``width`` codes in the lower halves of as many bytes, the next ``width`` in the upper ones."""

    def pack(codes: Bytes) -> Bytes:
        pairs = codes.reshape(len(codes), -1, 2, width)
        return np.bitwise_or(pairs[:, :, 0], pairs[:, :, 1] << 4, dtype=np.uint8).reshape(len(codes), -1)

    return pack


def _five_bits(codes: Bytes) -> Bytes:
    """The fifth bits first: byte n has those of the n-th code of each group of 32. Then the rest as nibbles."""
    groups = codes.reshape(len(codes), 8, 32) >> 4 << np.arange(8, dtype=np.uint8)[:, None]
    fifth = np.bitwise_or.reduce(groups, axis=1, dtype=np.uint8)
    return np.concatenate([fifth, _nibbles(32)(_low(codes))], axis=1)


def _five_bits_of_32(codes: Bytes) -> Bytes:
    """The fifth bits first, one after the other. Then the rest as nibbles."""
    fifth = np.packbits(codes >> 4, axis=1, bitorder="little")
    return np.concatenate([fifth, _nibbles(16)(_low(codes))], axis=1)


def _low(codes: Bytes) -> Bytes:
    return np.bitwise_and(codes, 15, dtype=np.uint8)


_EVEN_4, _EVEN_5 = np.arange(16, dtype=np.float32), np.arange(32, dtype=np.float32)
_UNEVEN = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)
"""Levels of IQ4_NL and IQ4_XS (kvalues_iq4nl)."""
_FORMATS = {
    "Q4_K": _Format(256, slice(16, 144), _EVEN_4, _nibbles(32)),
    "Q5_K": _Format(256, slice(16, 176), _EVEN_5, _five_bits),
    "IQ4_XS": _Format(256, slice(8, 136), _UNEVEN, _nibbles(16)),
    # What stands in for those three where rows are no multiple of 256.
    "Q5_0": _Format(32, slice(2, 22), _EVEN_5, _five_bits_of_32),
    "Q5_1": _Format(32, slice(4, 24), _EVEN_5, _five_bits_of_32),
    "IQ4_NL": _Format(32, slice(2, 18), _UNEVEN, _nibbles(16)),
}


@dataclass(frozen=True)
class CodeGrid:
    """What the weights [rows, inputs] of one tensor can be."""

    levels: npt.NDArray[np.float32]
    """By code, ascending."""
    offset: npt.NDArray[np.float32]
    """[rows, inputs]."""
    step: npt.NDArray[np.float32]
    """[rows, inputs]; 0 where all weights of a block are equal."""

    @classmethod
    def of(cls, tensor: gguf.ReaderTensor) -> CodeGrid | None:
        """None for a type whose codes are not chosen here: those of 6 bits and more lose little."""
        found = _FORMATS.get(tensor.tensor_type.name)
        if found is None:
            return None
        levels = found.levels
        lowest, highest = (_values_with(tensor, found, code) for code in (0, len(levels) - 1))
        step = (highest - lowest) / (levels[-1] - levels[0])
        return cls(levels, lowest - step * levels[0], step)


def write_codes(tensor: gguf.ReaderTensor, codes: Bytes, rows: npt.NDArray[np.bool_]) -> None:
    """Put ``codes`` [rows, inputs] into the marked rows of a tensor of a file that is open for writing."""
    found = _FORMATS[tensor.tensor_type.name]
    packed = found.pack(codes[rows].reshape(-1, found.weights))
    blocks = _blocks(tensor, found)
    chosen = blocks[rows]
    chosen[:, :, found.codes] = packed.reshape(len(chosen), blocks.shape[1], -1)
    blocks[rows] = chosen


def _values_with(tensor: gguf.ReaderTensor, found: _Format, code: int) -> npt.NDArray[np.float32]:
    """The weights [rows, inputs] as they would be if every code were ``code``."""
    blocks = _blocks(tensor, found).copy()
    blocks[:, :, found.codes] = found.pack(np.full((1, found.weights), code, np.uint8))
    return np.asarray(gguf.dequantize(blocks.reshape(tensor.data.shape), tensor.tensor_type), np.float32)


def _blocks(tensor: gguf.ReaderTensor, found: _Format) -> Bytes:
    """A view [rows, blocks of a row, bytes of a block] of the file."""
    per_row = int(tensor.shape[0]) // found.weights
    return tensor.data.reshape(len(tensor.data), per_row, -1)
