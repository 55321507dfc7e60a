"""Consoles for people: colour only on a terminal and never against ``NO_COLOR``, plain unwrapped lines elsewhere."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console

from qa_core.screen import screen

# In the text of an error that crossed from a worker: "OSError: [Errno 28] No space left on device".
_NAMED_ERROR = re.compile(r"^[\w.]*(?:Error|Exception|Interrupt)\b: .+$", re.MULTILINE)


def gist(error: BaseException) -> str:
    """One line for a person. Ray hands on a worker's traceback as text: the line that names the first error in it."""
    text = str(error).strip() or type(error).__name__
    named = _NAMED_ERROR.search(text)
    return named.group() if named else text.splitlines()[0]


def is_disk_full(error: BaseException) -> bool:
    """Whether a full disk is behind ``error``, here or on a worker: whoever writes next fails, in whatever call."""
    return os.strerror(errno.ENOSPC) in str(error) or any(
        is_disk_full(behind) for behind in (error.__cause__, error.__context__) if behind is not None
    )


@contextmanager
def logged_console(log_file: Path) -> Iterator[Console]:
    """A console on the real stdout while all other output, logging included, goes to ``log_file``."""
    with screen(log_file) as out:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
        yield person_console(out)


def person_console(file: IO[str] | None = None) -> Console:
    """A console without guessed highlighting."""
    console = Console(file=file, highlight=False)
    # A pipe has no width. Wrapping at 80 columns there would break paths that a script wants to read.
    return console if console.is_terminal else Console(file=file, highlight=False, width=10_000, soft_wrap=True)


def aligned(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    """Lines of a table: a name, a figure, and what is said about it."""
    names, figures = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    return [f"{name:<{names}}  {figure:>{figures}}  {said}".rstrip() for name, figure, said in rows]
