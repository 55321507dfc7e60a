"""Two streams for two readers: a few lines for the person, everything the libraries say for a log file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from qa_core.artifacts import RunStore
from qa_core.errors import UserError


@contextmanager
def screen(log_file: Path) -> Iterator[TextIO]:
    """The real stdout, while file descriptors 1 and 2 lead to ``log_file``.

    The redirection is done on descriptors, not on ``sys.stdout``: Ray's processes and C++ libraries write there too.
    """
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        log_file.touch()
    except OSError as error:
        raise UserError(f"{log_file} cannot be written: {error.strerror}", "Set run.storage=FOLDER.") from error
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace", buffering=1)
    with out, log_file.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield out
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError):  # the log's disk may be full, and the person must still be told
                    stream.flush()
            for descriptor, original in enumerate(saved, start=1):
                os.dup2(original, descriptor)
                os.close(original)


def log_path(store: RunStore, command: str) -> Path:
    """A new log file of this run; logs stay on this machine even when the artifacts do not."""
    folder = Path(store.path) if store.is_local else Path("runs") / Path(store.path).name
    return folder.absolute() / "logs" / f"{datetime.now():%Y%m%d-%H%M%S}-{command}.log"
