"""Two streams for two readers: a few lines for the person, everything the libraries say for a log file."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console


@contextmanager
def logged_console(log_file: Path) -> Iterator[Console]:
    """A console on the real stdout, while file descriptors 1 and 2 lead to ``log_file``.

    The redirection is done on descriptors, not on ``sys.stdout``: Ray's processes and C++ libraries write there too.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    screen = os.fdopen(os.dup(saved[0]), "w", encoding="utf-8", errors="replace")
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
        yield person_console(screen)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        screen.close()
        for descriptor in (*saved, log):
            os.close(descriptor)


def person_console(file: object = None) -> Console:
    """A console for people: no guessed highlighting; colour only on a terminal and never against ``NO_COLOR``."""
    console = Console(file=file, highlight=False)  # type: ignore[arg-type]
    # A pipe has no width. Wrapping at 80 columns there would break paths that a script wants to read.
    return console if console.is_terminal else Console(file=file, highlight=False, width=10_000, soft_wrap=True)  # type: ignore[arg-type]
