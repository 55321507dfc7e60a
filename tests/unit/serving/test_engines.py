from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qa_core.config import GenerationCompute, GenerationSettings
from qa_core.errors import UserError
from qa_core.generation.engine import Engine
from qa_core.quantization.description import Description
from qa_core.quantization.lora_gguf import write_lora_gguf
from serving.engines import Engines
from tests.small_run import write_adapter


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


def test_who_leaves_while_an_adapter_loads_leaves_it_to_the_next(
    tiny_model: Path, tiny_gguf: Path, tmp_path: Path
) -> None:
    write_lora_gguf(
        tiny_model, write_adapter(tiny_model, tmp_path / "adapter", 0.1), tmp_path / "a.gguf", Description()
    )
    settings = GenerationSettings(n_ctx=256, n_seq_max=2, compute=GenerationCompute(n_threads=1))
    engines = Engines(tiny_gguf, {"papers": str(tmp_path / "a.gguf")}, settings)

    async def ask() -> tuple[Engine, Engine]:
        impatient = asyncio.create_task(engines.open("papers"))
        await asyncio.sleep(0)
        impatient.cancel()
        return await engines.open("papers"), await engines.open("papers")

    first, second = asyncio.run(ask())
    assert first is second
    assert engines.slots == 4  # the base's and the adapter's, once
    for engine in (first, engines.base):
        engine.close()
