"""Damaged GGUF files, generated; run in a process of its own, so that a crash is seen.

    python -m tests.unit.generation.damage (fields | anywhere) FILE COUNT [BASE]

With BASE, a model, FILE is an adapter for it.
Prints one line of JSON: how many files were refused, how many llama.cpp took, and the slowest refusal in milliseconds.
"""

from __future__ import annotations

import json
import os
import random
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from qa_core.errors import UserError
from qa_core.generation.gguf_adapter import read_adapter_header
from qa_core.generation.gguf_model import read_model_header
from qa_core.generation.llama import LlamaModel
from qa_core.generation.llama_context import LlamaContext
from qa_core.generation.lora_adapter import LoraAdapter

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_TEXT, _ARRAY = 8, 9
_WIDE = (0, 1, 2**31, 2**32 - 1, 2**32, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_NARROW = (0, 5, 13, 99, 2**31 - 1, 2**31, 2**32 - 1)

_VERSION_AT = 4

Patch = tuple[int, bytes]


class Walker:
    """Steps through a sound file and notes where its numbers stand."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 4
        self.fields: list[tuple[int, int]] = [(0, 4)]
        """Place and size of the magic, versions, counts, lengths, types, dimensions and offsets."""
        self.dimensions: list[tuple[int, int]] = []
        """Places of the first two dimensions of a matrix."""

    def number(self, size: int) -> int:
        self.fields.append((self.at, size))
        self.at += size
        return int.from_bytes(self.data[self.at - size : self.at], "little")

    def text(self) -> None:
        length = self.number(8)
        self.at += length

    def value(self) -> None:
        kind = self.number(4)
        if kind == _TEXT:
            self.text()
        elif kind == _ARRAY:
            inner, length = self.number(4), self.number(8)
            before = len(self.fields)
            for _ in range(length):
                if inner == _TEXT:
                    self.text()
                else:
                    self.at += _SIZES[inner]
            del self.fields[before + 40 :]  # enough of the lengths of a vocabulary's texts
        else:
            self.at += _SIZES[kind]

    def tensor(self) -> None:
        self.text()
        places = []
        for _ in range(self.number(4)):
            places.append(self.at)
            self.number(8)
        if len(places) == 2:
            self.dimensions.append((places[0], places[1]))
        self.number(4)
        self.number(8)

    def walk(self) -> Walker:
        self.number(4)
        num_tensors, num_values = self.number(8), self.number(8)
        for _ in range(num_values):
            self.text()
            self.value()
        for _ in range(num_tensors):
            self.tensor()
        return self


def damaged_fields(data: bytes, draw: random.Random) -> Iterator[Patch]:
    """One number is another; now and then two dimensions whose product overflows to what it was."""
    walked = Walker(data).walk()
    while True:
        if draw.random() < 0.1:
            first, second = draw.choice(walked.dimensions)
            rows = struct.unpack_from("<Q", data, second)[0]
            yield first, data[first : first + 8][:4] + b"\1\0\0\0" + struct.pack("<Q", rows * 2**32 % 2**64)
            continue
        at, size = draw.choice(walked.fields)
        old = int.from_bytes(data[at : at + size], "little")
        near = (old + 1, max(old - 1, 0), 2 * old, draw.getrandbits(8 * size))
        new = draw.choice((*(_WIDE if size == 8 else _NARROW), *near)) % 2 ** (8 * size)
        if new not in (old, 2 if at == _VERSION_AT else old):  # version 2 has the same layout, so that is no damage
            yield at, new.to_bytes(size, "little")


def damaged_anywhere(data: bytes, draw: random.Random) -> Iterator[Patch]:
    """One to eight bytes of the header are others, names, texts and values included."""
    end = Walker(data).walk().at
    while True:
        length = draw.randint(1, 8)
        yield draw.randrange(end - length), draw.randbytes(length)


def main() -> None:
    kind, file, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    data, draw = file.read_bytes(), random.Random(3)
    patches = (damaged_fields if kind == "fields" else damaged_anywhere)(data, draw)
    base = read_model_header(Path(sys.argv[4])) if sys.argv[4:] else None
    figures = {"refused": 0, "taken": 0, "slowest_ms": 0.0}
    with file.open("r+b", buffering=0) as stream:
        for _, (at, patch) in zip(range(count), patches, strict=False):
            _write(stream.fileno(), at, patch)
            print(f"{at} {patch.hex()}", file=sys.stderr)  # the last one is the one that crashed
            started = time.process_time()
            try:
                read_adapter_header(file, base) if base else read_model_header(file)
            except UserError:
                figures["refused"] += 1
                figures["slowest_ms"] = max(figures["slowest_ms"], 1000 * (time.process_time() - started))
            else:
                figures["taken"] += 1
                print("taken", file=sys.stderr)
                _use(Path(sys.argv[4]), file) if base else _use(file)
            _write(stream.fileno(), at, data[at : at + len(patch)])
    print(json.dumps(figures))


def _write(descriptor: int, at: int, patch: bytes) -> None:
    os.pwrite(descriptor, patch, at)


def _use(file: Path, adapter: Path | None = None) -> None:
    """What the service does with a file that it takes: it loads it, or says that it cannot, and runs it."""
    try:
        model = LlamaModel(file)
        over = LoraAdapter(adapter, model) if adapter else None
    except UserError:
        return
    with closing(model), closing(LlamaContext(model, 32, 1, 32, 1, over)) as context:
        tokens = model.tokenize("The 3 heads.<|im_end|>")[:16]
        context.decode(tokens, range(len(tokens)), [0] * len(tokens), [True] * len(tokens))
        _ = model.control_tokens, model.chat_template, model.bos_text, model.eos_text


if __name__ == "__main__":
    main()
