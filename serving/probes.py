"""Health probes that cost the generator little, however many ask."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from serving.schemas.base import Health
from serving.schemas.errors import overloaded

TIMEOUT_S = 10.0
SECONDS_BETWEEN = 1.0


class Probe:
    """Asks the generator at most once a second: whoever has no key must not be able to fill its queue with probes."""

    def __init__(self, ask: Callable[[], Awaitable[Any]], is_crowded: Callable[[], bool]) -> None:
        """
        Args:
            is_crowded: whether a question would have to wait behind those of others.
        """
        self._ask, self._is_crowded = ask, is_crowded
        self._lock = asyncio.Lock()
        self._last, self._at = Health(), -math.inf

    async def __call__(self) -> Health:
        """Raises :class:`ApiError` 503 when the generator does not answer. To be crowded is health: it is at work, and
        one that is stuck with all its slots taken is found and replaced by its own ``check_health``."""
        async with self._lock:
            if time.monotonic() - self._at > SECONDS_BETWEEN:
                self._last, self._at = await self._asked(), time.monotonic()
        return self._last

    async def _asked(self) -> Health:
        if self._is_crowded():
            return Health(status="busy")
        try:
            await asyncio.wait_for(self._ask(), TIMEOUT_S)
        except BackPressureError:
            return Health(status="busy")
        except (TimeoutError, DeploymentUnavailableError) as error:
            raise overloaded(f"The generator did not answer within {TIMEOUT_S:g} s.") from error
        return Health()
