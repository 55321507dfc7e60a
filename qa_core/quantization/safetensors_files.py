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
from qa_core.quantization.number_formats import decode

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
        """The bytes, mapped; copy on write, because torch wants memory that it may write to."""
        return np.memmap(self.file, np.uint8, "c", offset=self.offset, shape=(self.nbytes,))

    def float32(self) -> npt.NDArray[np.float32]:
        """The values."""
        return decode(self.raw(), self.dtype).reshape(self.shape)


def read_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of every ``*.safetensors`` file in ``folder``, by name."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(
            f"{folder} has no .safetensors file", "Convert the weights to safetensors; pickles are not read."
        )
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        for name, tensor in _read_file(file):
            if name in tensors:
                raise _damaged(file, f"tensor {name!r} is in {tensors[name].file.name} too")
            tensors[name] = tensor
    return tensors


def _read_file(file: Path) -> Iterator[tuple[str, StoredTensor]]:
    header, data_start = read_header(file)
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: _begin(item[1])):
        dtype, shape, offsets = _entry(file, name, entry)
        if dtype not in _ITEM_BYTES:
            raise UserError(
                f"tensor {name!r} in {file} has the type {dtype}",
                f"Merging and conversion start from unquantised weights: {', '.join(_ITEM_BYTES)}.",
            )
        tensor = StoredTensor(file, dtype, shape, data_start + end)
        if offsets != [end, end + tensor.nbytes]:  # the format has neither gaps nor overlaps
            raise _damaged(file, f"tensor {name!r} of shape {shape} lies at bytes {offsets} instead of {end} onwards")
        end += tensor.nbytes
        yield name, tensor
    if data_start + end != file.stat().st_size:
        raise _damaged(file, f"its tensors end at byte {data_start + end} of {file.stat().st_size}")


def _begin(entry: Any) -> int:
    """Where a tensor says that it begins; a damaged entry comes first and is refused there."""
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    return offsets[0] if _are_sizes(offsets) and offsets else -1


def _entry(file: Path, name: str, entry: Any) -> tuple[str, tuple[int, ...], list[int]]:
    """Type, shape and place of one tensor, as the header of a damaged file may or may not have them."""
    if (
        not isinstance(entry, dict)
        or entry.keys() != {"dtype", "shape", "data_offsets"}
        or not isinstance(entry["dtype"], str)
        or not _are_sizes(entry["shape"])
        or not _are_sizes(entry["data_offsets"])
    ):
        raise _damaged(file, f"tensor {name!r} is described by {str(entry)[:80]}")
    return entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]


def _are_sizes(values: Any) -> bool:
    """A list of whole numbers that fit into 63 bits; ``true`` is none."""
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def read_header(file: Path) -> tuple[dict[str, Any], int]:
    """The tensor entries of one file, and the byte where the data begin."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(_MAX_HEADER_BYTES, size - 8):
            raise _damaged(file, f"a header of {length} bytes is announced in {size} bytes")
        try:
            header = json.loads(stream.read(length), object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, a name twice, or nested without end
            raise _damaged(file, f"its header cannot be read ({error})") from error
    if not isinstance(header, dict):
        raise _damaged(file, "its header is no table of tensors")
    header.pop("__metadata__", None)
    return header, 8 + length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name occurs twice")
    return table


def _damaged(file: Path, what: str) -> UserError:
    return UserError(f"{file} is damaged: {what}", "Fetch or make the model again.")


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
