"""The engines of one replica: the model itself, and beside it each LoRA adapter that was asked for.

llama.cpp lays an adapter over a whole context and so over a whole batch. Each adapter therefore gets a context and a
queue of its own, on weights that are loaded once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qa_core.config import GenerationSettings
from qa_core.errors import UserError
from serving.schemas.errors import overloaded

if TYPE_CHECKING:
    from qa_core.generation.engine import Engine


class Engines:
    """Raises :class:`UserError` for a model or an adapter that is missing, damaged or does not fit the other."""

    def __init__(self, model: Path, adapters: Mapping[str, str], settings: GenerationSettings) -> None:
        from qa_core.generation.chat_model import ChatModel
        from qa_core.generation.engine import Engine
        from qa_core.generation.gguf_adapter import read_adapter_header

        self._settings = settings
        self._model = ChatModel(model, settings.compute.n_gpu_layers)
        self._adapters = {name: Path(path) for name, path in adapters.items()}
        for path in self._adapters.values():  # a mistake is told now, not to the first who asks
            read_adapter_header(path, self._model.llama.header)
        self.base = Engine(self._model, settings, reuse_prefixes=True)
        self._ready = [self.base]
        self._opening: dict[str, asyncio.Task[Engine]] = {}

    async def open(self, adapter: str) -> Engine:
        """The engine of one of the adapters, made for the first who asks. Raises :class:`ApiError` 503 without room."""
        if adapter not in self._adapters:  # an update has reached the ingress and not this replica
            raise overloaded(f"The model {adapter} is not here yet; try again.")
        if adapter not in self._opening:
            self._opening[adapter] = asyncio.create_task(self._load(self._adapters[adapter]))
        task = self._opening[adapter]
        try:
            return await asyncio.shield(task)  # who asked may leave; the next one finds what was begun
        except Exception as error:
            self._opening.pop(adapter, None)  # the next one tries again
            if isinstance(error, UserError):
                raise overloaded(f"The model {adapter} cannot be loaded now: {error.problem}.") from error
            raise

    async def _load(self, adapter: Path) -> Engine:
        from qa_core.generation.engine import Engine

        engine = await asyncio.to_thread(Engine, self._model, self._settings, True, adapter)
        self._ready.append(engine)
        return engine

    @property
    def slots(self) -> int:
        return self._settings.n_seq_max * len(self._ready)

    @property
    def num_running(self) -> int:
        return sum(engine.num_running for engine in self._ready)

    @property
    def num_waiting(self) -> int:
        return sum(engine.num_waiting for engine in self._ready)

    @property
    def num_queued_tokens(self) -> int:
        return sum(engine.num_queued_tokens for engine in self._ready)

    @property
    def seconds_without_progress(self) -> float:
        """Of the one that has made none for longest."""
        return max(engine.seconds_without_progress for engine in self._ready)
