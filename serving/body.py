"""The body of one request, with bounds: how much may come, and until when."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from starlette.types import Message, Receive

from serving.schemas.errors import ApiError, invalid_request


class BoundedBody:
    """ASGI's ``receive`` for a body that may come without a length, or byte by byte for ever.

    A client that sends slowly holds a place in the ingress, so what is not there after ``seconds`` is given up.
    """

    def __init__(self, receive: Receive, max_bytes: int, seconds: float) -> None:
        self._receive, self._max_bytes, self._seconds = receive, max_bytes, seconds
        self._until = time.monotonic() + seconds
        self._received, self._complete = 0, False
        self._read: deque[Message] = deque()
        """What :meth:`whole` has read and nobody has received."""
        self.refused: ApiError | None = None
        """Why the rest was not read. Whatever a route makes of the half, this is the answer."""

    async def whole(self) -> None:
        """Wait until all of it is there; raises :class:`ApiError` 413 or 408."""
        while not self._complete:
            self._read.append(await self._next())

    async def receive(self) -> Message:
        """The next part; raises :class:`ApiError` 413 or 408."""
        if self._read:
            return self._read.popleft()
        if self._complete:
            return await self._receive()  # what follows is the client going away, at any time
        return await self._next()

    async def _next(self) -> Message:
        try:
            message = await asyncio.wait_for(self._receive(), self._until - time.monotonic())
        except TimeoutError:
            self.refused = invalid_request(f"The body did not come within {self._seconds:g} s.", status=408)
            raise self.refused from None
        self._received += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._received > self._max_bytes:
            self.refused = too_large(self._max_bytes)
            raise self.refused
        return message


def too_large(max_bytes: int) -> ApiError:
    return invalid_request(f"The body may have at most {max_bytes} bytes.", status=413)
