"""A Ray cluster that Lectern starts itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import ray

from jobs.ray_session import ray_session
from serving.__main__ import ray_cluster


@pytest.mark.parametrize("cluster", [ray_session, ray_cluster])
def test_workers_of_our_own_cluster_give_way_to_nobody_and_may_spin(
    cluster: Callable[[str | None], AbstractContextManager[None]],
) -> None:
    def niceness_and_spins() -> tuple[int, str | None]:
        return os.nice(0), os.environ.get("GOMP_SPINCOUNT")

    with cluster(None):
        assert ray.get(ray.remote(niceness_and_spins).remote()) == (os.nice(0), None)
