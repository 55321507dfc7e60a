"""The folder in which a task keeps what it would not like to make twice."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def local_scratch(scratch: str) -> Iterator[Path]:
    """The scratch folder itself; where that is no local path, one of this task's own, which a kill takes with it."""
    if "://" in scratch:
        with tempfile.TemporaryDirectory(prefix="lectern-") as folder:
            yield Path(folder)
        return
    Path(scratch).mkdir(parents=True, exist_ok=True)
    yield Path(scratch)


def once(target: Path, write: Callable[[Path], None]) -> Path:
    """``target``, written unless a run before this one finished it: it gets its name only when it is whole."""
    if not target.exists():
        partial = target.with_name(f"{target.name}.partial")
        if partial.is_dir():
            shutil.rmtree(partial)
        write(partial)
        os.replace(partial, target)
    return target
