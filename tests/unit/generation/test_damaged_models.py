"""Thousands of damaged files: refused quickly, and whatever is not refused must not end the process."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qa_core.errors import UserError
from qa_core.generation import gguf_model
from qa_core.generation.gguf_header import GGUFHeader
from qa_core.generation.gguf_model import read_model_header
from qa_core.quantization.convert import write_gguf
from tests.unit.quantization.golden_models import make_model

PLACES = 2000


def damage(kind: str, file: Path, tmp_path: Path, *base: Path) -> dict[str, float]:
    shutil.copy(file, tmp_path / "damaged.gguf")
    command = [sys.executable, "-m", "tests.unit.generation.damage", kind, str(tmp_path / "damaged.gguf"), str(PLACES)]
    command += map(str, base)
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout)


def test_a_damaged_count_length_type_dimension_or_offset_is_refused_at_once(small_gguf: Path, tmp_path: Path) -> None:
    figures = damage("fields", small_gguf, tmp_path)
    assert figures["refused"] == PLACES
    assert figures["slowest_ms"] < 100


def test_whatever_byte_of_the_header_is_damaged_the_process_lives_on(small_gguf: Path, tmp_path: Path) -> None:
    figures = damage("anywhere", small_gguf, tmp_path)
    assert figures["refused"] > PLACES / 2  # the rest are other letters in names and texts
    assert figures["refused"] + figures["taken"] == PLACES
    assert figures["slowest_ms"] < 100


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("qwen2.block_count", 3, r"'blk.2.attn_k.bias' is missing"),
        ("qwen2.block_count", 1, r"'blk.1.attn_k.bias' is unknown"),
        ("qwen2.attention.head_count", 0, "head_count is 0"),
        ("qwen2.attention.head_count_kv", 3, "4 heads and 3 of keys"),
        ("qwen2.embedding_length", 32, r"'token_embd.weight' has the shape \(64, 288\) instead of \(32, 288\)"),
        ("qwen2.rope.freq_base", float("nan"), "freq_base is nan"),
        ("qwen2.context_length", 0, "context_length is 0"),
        ("tokenizer.ggml.eos_token_id", 288, "eos_token_id is 288, and there are 288 tokens"),
        ("tokenizer.ggml.model", "llama", "instead of 'gpt2'"),
        ("general.file_type", 999, "file_type is 999"),
        ("general.file_type", 0, "has the type F16 in a file of type ALL_F32"),
        ("general.architecture", "gpt2", "has the architecture 'gpt2'"),
    ],
)
def test_hyperparameters_that_do_not_fit_the_tensors_are_refused(
    small_gguf: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: Any, message: str
) -> None:
    header = gguf_model.read_header(small_gguf)
    changed: GGUFHeader = dataclasses.replace(header, metadata={**header.metadata, key: value})
    monkeypatch.setattr(gguf_model, "read_header", lambda path: changed)
    with pytest.raises(UserError, match=message):
        read_model_header(small_gguf)


@pytest.mark.parametrize("family", ["qwen3", "llama"])
def test_the_other_families_are_known_too(family: str, tmp_path: Path) -> None:
    write_gguf(make_model(family, tmp_path / "model"), tmp_path / "model.gguf", "q8_0")
    assert read_model_header(tmp_path / "model.gguf").tensor_types.keys() == {"Q8_0", "F32"}
