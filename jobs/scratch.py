"""The folder in which a task keeps what it would not like to make twice."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from qa_core.errors import UserError


@contextmanager
def local_scratch(scratch: str) -> Iterator[Path]:
    """The scratch folder itself; where that is no local path, one of this task's own, which a kill takes with it."""
    if "://" in scratch:
        with tempfile.TemporaryDirectory(prefix="lectern-") as folder:
            yield Path(folder)
        return
    Path(scratch).mkdir(parents=True, exist_ok=True)
    yield Path(scratch)


def require_space(folder: Path, nbytes: int) -> None:
    """Fail now rather than after an hour: ``folder`` must have room for ``nbytes``, what it holds already counted."""
    held = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    free = shutil.disk_usage(folder).free
    if free < nbytes - held:
        raise UserError(
            f"{folder} has room for {free / 1e9:.1f} GB, and {(nbytes - held) / 1e9:.1f} GB are needed",
            "Free some, or put run.storage on a larger disk.",
        )


def once(target: Path, write: Callable[[Path], None]) -> Path:
    """``target``, written unless another run or another process of this machine has finished it.

    It gets its name only when it is whole and on the disk, so a kill in the middle leaves nothing that is picked up.
    """
    with open(target.with_name(f".{target.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            partial = target.with_name(f"{target.name}.partial")
            if partial.is_dir():
                shutil.rmtree(partial)
            write(partial)
            _sync(partial)
            os.replace(partial, target)
    return target


def _sync(path: Path) -> None:
    """Wait until the bytes are on the disk; a name may otherwise survive a loss of power that its content does not."""
    for file in path.iterdir() if path.is_dir() else (path,):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
