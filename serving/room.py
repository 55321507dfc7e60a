"""How many requests one ingress lets in, so that those for which there is no room are told so at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qa_core.config import DeploymentSettings
from serving.schemas.errors import overloaded


class Room:
    """Places for requests that end at a generator. Ray Serve can refuse by itself, but only after the body was read and
    checked and a replica was looked for, which costs ten times as much as the refusal."""

    def __init__(self, places: float, refused: Callable[[], None] = lambda: None, at_once: float = math.inf) -> None:
        """
        Args:
            places: requests at the same time, queue included.
            refused: called for each request that found no place.
            at_once: requests of which none waits.
        """
        self._places, self._refused, self._at_once, self._taken = places, refused, at_once, 0

    @classmethod
    def of(cls, generator: DeploymentSettings, refused: Callable[[], None]) -> Room:
        """Retrieval holds a place, too."""
        always = generator.max_ongoing_requests * max(1, generator.autoscaling_config.min_replicas)
        return cls(cls.places_of(generator), refused, always)

    @staticmethod
    def places_of(generator: DeploymentSettings) -> float:
        """As many as the generators and their queue have when all replicas run."""
        if generator.max_queued_requests < 0:
            return math.inf
        running = generator.max_ongoing_requests * generator.autoscaling_config.max_replicas
        return running + generator.max_queued_requests

    @property
    def is_crowded(self) -> bool:
        """The generators that always run have all they can have at once, so whoever asks one now may wait long."""
        return self._taken >= self._at_once

    def require(self) -> None:
        """Raise :class:`ApiError` 503 when all places are taken."""
        if self._taken >= self._places:
            self._refused()
            raise overloaded("The service has as many requests as it can queue; try again.")

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for the length of the block; raises :class:`ApiError` 503 when all are taken."""
        self.require()
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
