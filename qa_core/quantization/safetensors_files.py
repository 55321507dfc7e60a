"""Tensors of a folder of safetensors files, mapped one at a time, bfloat16 included (numpy has no such type).

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qa_core.errors import UserError

_MAX_HEADER_BYTES = 100_000_000  # the limit of the format
_ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies."""

    file: Path
    dtype: str
    """F32, F16 or BF16."""
    shape: tuple[int, ...]
    offset: int
    """Bytes from the start of the file."""

    @property
    def num_weights(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.num_weights * _ITEM_BYTES[self.dtype]

    def raw(self) -> npt.NDArray[np.uint8]:
        """The bytes, mapped."""
        return np.memmap(self.file, np.uint8, "r", offset=self.offset, shape=(self.nbytes,))

    def float32(self) -> npt.NDArray[np.float32]:
        """The values. Both half-precision types are subsets of float32, so this is exact."""
        return _to_float32(self.raw(), self.dtype).reshape(self.shape)

    def float32_blocks(self, block_weights: int) -> Iterator[npt.NDArray[np.float32]]:
        """The same values, flat, at most ``block_weights`` at a time."""
        raw, step = self.raw(), block_weights * _ITEM_BYTES[self.dtype]
        return (_to_float32(raw[start : start + step], self.dtype) for start in range(0, self.nbytes, step))


def _to_float32(raw: npt.NDArray[np.uint8], dtype: str) -> npt.NDArray[np.float32]:
    if dtype == "BF16":
        return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.asarray(raw.view(np.float16 if dtype == "F16" else np.float32), np.float32)


def read_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of every ``*.safetensors`` file in ``folder``, by name."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(
            f"{folder} has no .safetensors file", "Convert the weights to safetensors; pickles are not read."
        )
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        tensors.update(_read_file(file))
    return tensors


def _read_file(file: Path) -> Iterator[tuple[str, StoredTensor]]:
    header, data_start = read_header(file)
    size = file.stat().st_size
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if entry["dtype"] not in _ITEM_BYTES:
            raise UserError(
                f"tensor {name!r} in {file} has the type {entry['dtype']}",
                f"Merging and conversion start from unquantised weights: {', '.join(_ITEM_BYTES)}.",
            )
        tensor = StoredTensor(file, entry["dtype"], tuple(entry["shape"]), data_start + begin)
        if tensor.nbytes != end - begin or data_start + end > size:
            raise UserError(f"{file} is damaged at tensor {name!r}", "Fetch or make the model again.")
        yield name, tensor


def read_header(file: Path) -> tuple[dict[str, Any], int]:
    """The tensor entries of one file, and the byte where the data begin."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > min(_MAX_HEADER_BYTES, file.stat().st_size):
            raise UserError(
                f"{file} is damaged: its header of {length} bytes is too long", "Fetch or make the model again."
            )
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def write_file(file: Path, tensors: Mapping[str, StoredTensor], contents: Iterator[bytes | memoryview]) -> None:
    """A safetensors file with the names, types and shapes of ``tensors`` and new ``contents``, one tensor at a time."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset := offset + tensor.nbytes],
        }
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)  # the data start aligned
    with file.open("wb") as stream:
        stream.write(len(encoded).to_bytes(8, "little") + encoded)
        for content in contents:
            stream.write(content)
