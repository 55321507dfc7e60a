"""Connecting to Ray: the cluster at an address, or a local one as large as this machine."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from qa_core.errors import UserError

Result = TypeVar("Result")

_OBJECT_STORE_BYTES = 256 * 1024**2
"""Enough for the blocks of a laptop's corpus; a cluster brings its own."""

_WORKER_ENVIRONMENT = {
    # Each Ray worker owns a fraction of the machine; thread pools as wide as the machine would fight each other.
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}

_ENVIRONMENT_ELSEWHERE = {
    # On clusters that others started Ray's workers give way to every other process (niceness 15). Threads that wait by
    # spinning would hold the core that the awaited one could have: beside a busy process steps took ten times as long.
    "GOMP_SPINCOUNT": "0",
}


@contextmanager
def ray_session(address: str | None = None) -> Iterator[None]:
    """Ray for the length of the block. ``RAY_ADDRESS`` counts like ``address``, as everywhere in Ray."""
    import ray

    # A local cluster must not phone home, and its dashboard costs seconds and memory that a laptop feels.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    options: dict[str, Any] = {"log_to_driver": True, "logging_level": logging.WARNING}
    target = address or os.environ.get("RAY_ADDRESS")
    runtime_env = {"env_vars": {**_WORKER_ENVIRONMENT, **(_ENVIRONMENT_ELSEWHERE if target else {})}}
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        if target:
            ray.init(address=target, runtime_env=runtime_env, **options)
        else:
            # Workers of our own cluster wait by spinning, which is faster, so they must not give way (15, by default).
            os.environ.setdefault("RAY_worker_niceness", "0")
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                runtime_env=runtime_env,
                _temp_dir=_short_temp_dir(),
                **options,
            )
    except (ConnectionError, ValueError, ray.exceptions.AuthenticationError) as error:
        if not target:
            raise
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"no Ray cluster at {target}: {reason}", "Check the address and its token.") from error
    signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put its own in its place, which leaves no time to say anything
    _configure_data()
    try:
        yield
    finally:
        ray.shutdown()


def on_cluster(
    function: Callable[..., Result], /, *args: Any, num_cpus: float, num_gpus: float = 0.0, **kwargs: Any
) -> Result:
    """The result of ``function`` run as one Ray task with these resources; its own exception when it fails."""
    import ray

    threads = max(1, round(num_cpus))
    task = ray.remote(
        num_cpus=num_cpus, num_gpus=num_gpus, max_retries=1, runtime_env={"env_vars": {"OMP_NUM_THREADS": str(threads)}}
    )(function)
    try:
        return ray.get(task.remote(*args, **kwargs))
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error


def interruptible(function: Callable[[], Result]) -> Result:
    """The result of ``function``, run beside the main thread, which stays free to be interrupted.

    Ray Train takes over Ctrl-C when it is called from the main thread, ends the process with code 0 and never gives it
    back.
    """
    outcome: Future[Result] = Future()

    def work() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # handed to the caller's thread, where it is raised again
            outcome.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return outcome.result()


def require_resources(stage: str, num_cpus: float, num_gpus: float) -> None:
    """Fail now, with both numbers, rather than wait for ever for a worker that cannot be placed."""
    import ray

    have = ray.cluster_resources()
    for name, needed, key in (("CPUs", num_cpus, "CPU"), ("GPUs", num_gpus, "GPU")):
        if needed > have.get(key, 0):
            raise UserError(
                f"{stage} needs {needed:g} {name} and the cluster has {have.get(key, 0):g}",
                "Lower the stage's `compute` settings or add nodes; `lectern doctor` shows what there is.",
            )


def _configure_data() -> None:
    import ray

    context = ray.data.DataContext.get_current()
    # The second-generation parquet reader starts up to 32 one-CPU actors for any read: seconds, or a hang on two cores.
    context.use_datasource_v2 = False
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = True


def _short_temp_dir() -> str:
    # Unix socket paths end at 107 bytes; Ray adds about 60 to this folder's name.
    folder = os.path.join(tempfile.gettempdir(), f"ray-{os.getuid()}")
    return folder if len(folder) < 40 else "/tmp/ray"
