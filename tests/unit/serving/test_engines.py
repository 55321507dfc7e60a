from __future__ import annotations

from pathlib import Path

import pytest

from qa_core.config import GenerationCompute, GenerationSettings
from qa_core.errors import UserError
from serving.engines import Engines


@pytest.mark.parametrize(("content", "problem"), [(None, "cannot be read"), (b"GGUF", "is damaged"), (b"", "is empty")])
def test_an_adapter_that_cannot_be_used_is_told_before_anybody_asks(
    tiny_gguf: Path, tmp_path: Path, content: bytes | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / "a.gguf").write_bytes(content)
    settings = GenerationSettings(n_ctx=256, compute=GenerationCompute(n_threads=1))
    with pytest.raises(UserError, match=problem):
        Engines(tiny_gguf, {"papers": str(tmp_path / "a.gguf")}, settings)
    with pytest.raises(UserError, match=r"general\.type is 'model' instead of 'adapter'"):
        Engines(tiny_gguf, {"papers": str(tiny_gguf)}, settings)
