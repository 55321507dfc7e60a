"""Our files against those of llama.cpp's own converter, as ``record_golden`` wrote them down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qa_core.quantization.convert import OutType, write_gguf
from qa_core.quantization.description import Description
from tests.unit.quantization.golden_models import FAMILIES, make_model
from tests.unit.quantization.record_golden import GOLDEN, OUTTYPES, described

NAMES = {"qwen2": "Golden Qwen2", "qwen3": "Golden Qwen3", "llama": "Golden Llama"}
"""The other converter makes a name of the folder's; ours is told one."""


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("outtype", OUTTYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_keys_and_tensors_equal_those_of_llama_cpps_converter(
    family: str, outtype: OutType, golden: dict[str, Any], tmp_path: Path
) -> None:
    write_gguf(make_model(family, tmp_path / "model"), tmp_path / "out.gguf", outtype, Description(NAMES[family]))
    ours, theirs = described(tmp_path / "out.gguf"), golden[f"{family} {outtype}"]
    assert ours["keys"] == theirs["keys"]
    assert ours["tensors"] == theirs["tensors"]
