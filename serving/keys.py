"""API keys: who may ask, and how often."""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

from qa_core.errors import UserError

logger = logging.getLogger("ray.serve")

SHORTEST_KEY = 16
_SECONDS_BETWEEN_LOOKS = 1.0


class KeyFile:
    """The keys in a file, one a line; ``#`` begins a comment.

    A change of the file counts from the next second on, so keys are rotated without a restart. A file that cannot be
    read, or holds no safe key, leaves the keys as they were, and the log says so.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._read_at, self._stamp = clock(), _stamp(path)
        self._digests = read_keys(path)

    def holder(self, key: str) -> str | None:
        """A short name for the holder of ``key``, which does not give the key away; None for a key that is not there.

        Every key of the file is compared, in constant time each, so the time tells nothing about the keys.
        """
        self._look()
        asked = _digest(key)
        found = [digest for digest in self._digests if hmac.compare_digest(digest, asked)]
        return found[0].hex()[:12] if found else None

    def _look(self) -> None:
        if self._clock() - self._read_at < _SECONDS_BETWEEN_LOOKS:
            return
        self._read_at = self._clock()
        if (stamp := _stamp(self._path)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._digests = read_keys(self._path)
        except UserError as error:  # caught in the middle of its rotation, or a mistake: nobody is locked out by it
            logger.error("the keys of before stay in force: %s", error.problem)


def read_keys(path: Path) -> list[bytes]:
    """SHA-256 of each key. Raises :class:`UserError` where there is none, or one that could be guessed."""
    remedy = f"Write keys of {SHORTEST_KEY} or more characters into it, one a line: `openssl rand -hex 24 >> {path}`."
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the file of API keys, {path}, cannot be read: {error}", remedy) from error
    keys = [key for line in lines if (key := line.partition("#")[0].strip())]
    if not keys:
        raise UserError(f"the file of API keys, {path}, holds no key", remedy)
    if min(map(len, keys)) < SHORTEST_KEY:
        raise UserError(f"the file of API keys, {path}, holds a key of {min(map(len, keys))} characters", remedy)
    return [_digest(key) for key in keys]


class RateLimit:
    """A bucket of tokens for each holder (token bucket): bursts up to a minute's worth, then one at a time."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute, self._clock = per_minute, clock
        self._buckets: dict[str, tuple[float, float]] = {}
        """What is left, and when that was so."""

    def wait(self, holder: str) -> int:
        """Seconds until ``holder`` may ask again; 0, and one request is taken, when it may now."""
        now, speed = self._clock(), self.per_minute / 60
        left, then = self._buckets.get(holder, (float(self.per_minute), now))
        left = min(self.per_minute, left + (now - then) * speed)
        if left < 1:
            self._buckets[holder] = (left, now)
            return max(1, math.ceil((1 - left) / speed))
        self._buckets[holder] = (left - 1, now)
        return 0


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _stamp(path: Path) -> tuple[int, int]:
    """Tells that the file was written."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size
