"""Reads and checks the header of a GGUF file before llama.cpp maps it.

llama.cpp trusts much of what a file says (integer overflows in its reader have been exploited, e.g. CVE-2025-53630),
and a truncated file can kill the process when a page behind its end is touched. So every count, length and extent is
held against the size of the file here first.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import mmap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType

from qa_core.errors import UserError
from qa_core.generation.gguf_cursor import Cursor, Damaged

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MAX_DIMENSIONS = 4
_MAX_KEY_BYTES = 65_535
_MAX_NAME_BYTES = 63
"""llama.cpp keeps names of tensors in 64 bytes."""
_MIN_KEY_VALUE_BYTES = 13
"""Key length, no key, value type, one byte."""
_MIN_TENSOR_BYTES = 24
"""Name length, number of dimensions, type, offset."""
_MAX_ALIGNMENT = 4096
_REMEDY = "Run the convert stage again, or give the path of a whole .gguf file."


@dataclass(frozen=True)
class TensorInfo:
    shape: tuple[int, ...]
    """In GGUF's order, fastest dimension first."""
    type: GGMLQuantizationType
    nbytes: int
    offset: int
    """Of its first byte in the data section."""

    @property
    def num_weights(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class GGUFHeader:
    metadata: Mapping[str, Any]
    """Scalars and texts; of an array a :class:`GGUFArray`."""
    types: Mapping[str, GGUFValueType]
    """Of each value in ``metadata``."""
    tensors: Mapping[str, TensorInfo]
    data_start: int
    """Byte of the file at which the data section begins."""

    @property
    def num_weights(self) -> int:
        return sum(tensor.num_weights for tensor in self.tensors.values())

    @property
    def tensor_types(self) -> dict[str, int]:
        """Number of tensors of each type, in alphabetical order."""
        return dict(sorted(Counter(tensor.type.name for tensor in self.tensors.values()).items()))

    @property
    def bits_per_weight(self) -> float:
        return 8 * sum(tensor.nbytes for tensor in self.tensors.values()) / self.num_weights


def read_header(path: Path) -> GGUFHeader:
    """The checked header of the file at ``path``; raises :class:`UserError` when it is missing or damaged."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(Cursor(data))
    except Damaged as error:
        raise damaged(path, str(error)) from error
    except ValueError as error:  # an empty file cannot be mapped
        raise damaged(path, "it is empty") from error
    except OSError as error:
        raise UserError(f"model file {path} cannot be read: {error.strerror}", _REMEDY) from error


def damaged(path: Path, what: str) -> UserError:
    """The error for a file that llama.cpp must not see."""
    return UserError(f"model file {path} is damaged: {what}", _REMEDY)


def _read(cursor: Cursor) -> GGUFHeader:
    start = cursor.take(len(_MAGIC))
    if (magic := cursor.data[start : cursor.offset]) != _MAGIC:
        raise Damaged(f"it starts with {magic!r} instead of {_MAGIC!r}")
    if (version := cursor.scalar("<I")) not in _VERSIONS:
        raise Damaged(f"GGUF version {version} is not one of {_VERSIONS}")
    num_tensors, num_values = cursor.scalar("<Q"), cursor.scalar("<Q")
    if num_values * _MIN_KEY_VALUE_BYTES + num_tensors * _MIN_TENSOR_BYTES > cursor.size:
        raise Damaged(f"{num_tensors} tensors and {num_values} values are announced in {cursor.size} bytes")
    values = {_key(cursor): cursor.value() for _ in range(num_values)}
    metadata = {key: value for key, (_, value) in values.items()}
    entries = [_tensor(cursor) for _ in range(num_tensors)]
    data_start = _check_extents(entries, cursor, metadata.get("general.alignment", 32))
    tensors = dict(entries)
    if len(metadata) != num_values or len(tensors) != num_tensors:
        raise Damaged("a key or a tensor occurs twice")
    return GGUFHeader(metadata, {key: kind for key, (kind, _) in values.items()}, tensors, data_start)


def _key(cursor: Cursor) -> str:
    key = cursor.text()
    if not key or len(key) > _MAX_KEY_BYTES:
        raise Damaged(f"a key of {len(key)} characters ends at byte {cursor.offset}")
    return key


def _tensor(cursor: Cursor) -> tuple[str, TensorInfo]:
    """Name and description of one tensor."""
    name, num_dimensions = cursor.text(), cursor.scalar("<I")
    if not 0 < len(name.encode()) <= _MAX_NAME_BYTES:
        raise Damaged(f"a tensor's name has {len(name.encode())} bytes")
    if not 1 <= num_dimensions <= _MAX_DIMENSIONS:
        raise Damaged(f"tensor {name!r} has {num_dimensions} dimensions")
    shape = tuple(cursor.scalar("<Q") for _ in range(num_dimensions))
    kind, offset = cursor.scalar("<I"), cursor.scalar("<Q")
    if kind not in set(GGMLQuantizationType):
        raise Damaged(f"tensor {name!r} has the unknown type {kind}")
    block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    if 0 in shape or shape[0] % block:
        raise Damaged(f"tensor {name!r} of type {GGMLQuantizationType(kind).name} has the shape {shape}")
    return name, TensorInfo(shape, GGMLQuantizationType(kind), math.prod(shape) // block * block_bytes, offset)


def _check_extents(entries: list[tuple[str, TensorInfo]], cursor: Cursor, alignment: object) -> int:
    """Tensors follow each other, each on the next multiple of the alignment, and the last ends inside the file.

    Returns where the first one begins.
    """
    if type(alignment) is not int or not 1 <= alignment <= _MAX_ALIGNMENT or alignment & (alignment - 1):
        raise Damaged(f"general.alignment={alignment!r} is no power of two up to {_MAX_ALIGNMENT}")
    data_start, end = -(-cursor.offset // alignment) * alignment, 0
    for name, info in entries:
        if info.offset != end:
            raise Damaged(f"tensor {name!r} begins at byte {info.offset} of the data instead of {end}")
        if data_start + info.offset + info.nbytes > cursor.size:
            raise Damaged(f"tensor {name!r} ends behind the end of the file")
        end = -(-(info.offset + info.nbytes) // alignment) * alignment
    if data_start + end < cursor.size:
        raise Damaged(f"{cursor.size - data_start - end} bytes follow the last tensor")
    return data_start
