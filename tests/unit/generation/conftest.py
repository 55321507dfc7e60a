from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qa_core.config import GenerationCompute, GenerationSettings
from qa_core.generation.engine import Engine


@pytest.fixture(scope="session")
def engine(tiny_gguf: Path) -> Iterator[Engine]:
    """Four slots of 256 tokens, and batches so small that long prompts take several steps."""
    settings = GenerationSettings(n_ctx=256, n_seq_max=4, compute=GenerationCompute(n_threads=1, n_batch=32))
    engine = Engine(tiny_gguf, settings)
    yield engine
    engine.close()
