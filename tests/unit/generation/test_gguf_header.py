from __future__ import annotations

import struct
from pathlib import Path

import pytest

from qa_core.errors import UserError
from qa_core.generation.gguf_header import read_header


def test_the_header_tells_the_shape_of_the_model(tiny_gguf: Path) -> None:
    header = read_header(tiny_gguf)
    assert header.metadata["general.architecture"] == "qwen2"
    assert header.tensors["blk.1.attn_q.weight"].shape == (256, 256)
    assert header.tensor_types.keys() == {"F16", "F32"}
    assert 16 < header.bits_per_weight < 16.1


@pytest.mark.parametrize(
    ("offset", "patch", "message"),
    [
        (0, b"GGML", "instead of b'GGUF'"),
        (4, struct.pack("<I", 99), "version 99"),
        (8, struct.pack("<Q", 2**60), "tensors"),
        (16, struct.pack("<Q", 2**60), "values"),
        (24, struct.pack("<Q", 2**63), "bytes are announced"),
    ],
)
def test_a_changed_header_is_refused(tiny_gguf: Path, tmp_path: Path, offset: int, patch: bytes, message: str) -> None:
    data = bytearray(tiny_gguf.read_bytes())
    data[offset : offset + len(patch)] = patch
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(data)
    with pytest.raises(UserError, match=message):
        read_header(broken)


def test_a_tensor_larger_than_the_file_is_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    data = tiny_gguf.read_bytes()
    name = b"token_embd.weight"
    at = data.index(name) + len(name) + 4 + 8  # after the number of dimensions and the first of them
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(data[:at] + struct.pack("<Q", 2**62) + data[at + 8 :])
    with pytest.raises(UserError, match=r"token_embd.weight.*behind the end"):
        read_header(broken)


@pytest.mark.parametrize("kept", [0, 3, 23, 100, 5000])
def test_a_file_cut_anywhere_is_refused(tiny_gguf: Path, tmp_path: Path, kept: int) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny_gguf.read_bytes()[:kept])
    with pytest.raises(UserError, match="damaged"):
        read_header(broken)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing.gguf cannot be read: No such file"):
        read_header(tmp_path / "nothing.gguf")
