"""Steps through the numbers, texts and arrays of a GGUF file, and never past its end."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import Any

from gguf import GGUFValueType

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B", 10: "<Q", 11: "<q", 12: "<d"}


class Damaged(ValueError):
    """What is wrong with the file, in a few words."""


@dataclass(frozen=True)
class GGUFArray:
    """What is kept of an array."""

    type: GGUFValueType
    length: int
    distinct: int
    """Different texts; 0 in an array of numbers."""


class Cursor:
    """A position in the file that refuses to leave it."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.size = len(data)
        self.offset = 0

    def take(self, nbytes: int) -> int:
        """Step over ``nbytes``; returns where they start."""
        start = self.offset
        if nbytes > self.size - start:
            raise Damaged(f"{nbytes} bytes are announced at byte {start}, the file ends at {self.size}")
        self.offset += nbytes
        return start

    def scalar(self, layout: str) -> Any:
        return struct.unpack_from(layout, self.data, self.take(struct.calcsize(layout)))[0]

    def raw(self) -> bytes:
        start = self.take(self.scalar("<Q"))
        return self.data[start : self.offset]

    def text(self) -> str:
        try:
            return self.raw().decode("utf-8")
        except UnicodeDecodeError as error:
            raise Damaged(f"the text before byte {self.offset} is not UTF-8") from error

    def value(self) -> tuple[GGUFValueType, Any]:
        kind = self.scalar("<I")
        if kind == GGUFValueType.STRING:
            return GGUFValueType.STRING, self.text()
        if kind == GGUFValueType.ARRAY:
            return GGUFValueType.ARRAY, self._array()
        value = self.scalar(_layout(kind))
        if kind == GGUFValueType.BOOL:
            if value > 1:
                raise Damaged(f"the truth value before byte {self.offset} is {value}")
            value = bool(value)
        return GGUFValueType(kind), value

    def _array(self) -> GGUFArray:
        kind, length = self.scalar("<I"), self.scalar("<Q")
        if kind == GGUFValueType.STRING:
            return GGUFArray(GGUFValueType.STRING, length, self._num_distinct(length))
        self.take(length * struct.calcsize(_layout(kind)))
        return GGUFArray(GGUFValueType(kind), length, 0)

    def _num_distinct(self, count: int) -> int:
        """Different texts among the next ``count``. A large vocabulary has 300,000, hence the local names."""
        data, size, offset, length_at = self.data, self.size, self.offset, struct.Struct("<Q").unpack_from
        texts = set()
        for _ in range(count):
            if offset + 8 > size:
                raise Damaged(f"a text is announced at byte {offset}, the file ends at {size}")
            start = offset + 8
            offset = start + length_at(data, offset)[0]
            if offset > size:
                raise Damaged(f"a text ends at byte {offset}, the file at {size}")
            texts.add(data[start:offset])
        self.offset = offset
        try:
            for text in texts:
                text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Damaged(f"a text before byte {offset} is not UTF-8") from error
        return len(texts)


def _layout(kind: int) -> str:
    if kind not in _SCALARS:
        raise Damaged(f"unknown value type {kind}")
    return _SCALARS[kind]
