from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qa_core.config import GenerationCompute, GenerationSettings
from qa_core.generation.engine import Engine
from tests.unit.quantization.golden_models import make_model


@pytest.fixture(scope="session")
def engine(tiny_gguf: Path) -> Iterator[Engine]:
    """Four slots of 256 tokens, and batches so small that long prompts take several steps."""
    settings = GenerationSettings(n_ctx=256, n_seq_max=4, compute=GenerationCompute(n_threads=1, n_batch=32))
    engine = Engine(tiny_gguf, settings)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def small_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 of two layers and 288 tokens, the same to the bit wherever it is made."""
    from qa_core.quantization.convert import write_gguf

    folder = tmp_path_factory.mktemp("small")
    write_gguf(make_model("qwen2", folder / "model"), folder / "model.gguf")
    return folder / "model.gguf"
