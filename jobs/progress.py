"""What a person sees of a running stage: a bar on a terminal, plain lines elsewhere; ``NO_COLOR`` is rich's to respect.

The work is done in other processes. They count through a zero-CPU actor, which a thread of the driver reads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

_POLL_SECONDS = 0.5
_PLAIN_LINE_SECONDS = 10.0


class _Tally:
    """The actor behind a :class:`Counter`."""

    def __init__(self) -> None:
        self.done = 0

    def advance(self, n: int) -> None:
        self.done += n

    def read(self) -> int:
        return self.done


@dataclass(frozen=True)
class Counter:
    """Counts from anywhere in the cluster; ``advance`` never waits."""

    actor: Any

    def advance(self, n: int = 1) -> None:
        self.actor.advance.remote(n)


@dataclass(frozen=True)
class Progress:
    """The progress display of one stage."""

    console: Console
    label: str
    columns: tuple[Any, ...] = field(
        default_factory=lambda: (
            TextColumn("  {task.description:<12}"), BarColumn(bar_width=32), MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"), TimeElapsedColumn(), TextColumn("eta"), TimeRemainingColumn(),
        )
    )  # fmt: skip

    @contextmanager
    def track(self, unit: str, total: int | None = None) -> Iterator[Counter]:
        """Show ``done / total unit`` until the block ends."""
        import ray

        actor: Any = ray.remote(num_cpus=0)(_Tally).remote()
        show = self._show_bar if self.console.is_terminal else self._show_lines
        stop = threading.Event()
        thread = threading.Thread(target=show, args=(actor, unit, total, stop), daemon=True)
        thread.start()
        try:
            yield Counter(actor)
        finally:
            stop.set()
            thread.join(timeout=5)
            ray.kill(actor)

    def _show_bar(self, actor: Any, unit: str, total: int | None, stop: threading.Event) -> None:
        with Bars(*self.columns, console=self.console, transient=True) as bars:
            task = bars.add_task(self.label, total=total, unit=unit)
            while not stop.wait(_POLL_SECONDS):
                bars.update(task, completed=_read(actor))

    def _show_lines(self, actor: Any, unit: str, total: int | None, stop: threading.Event) -> None:
        started, shown = time.monotonic(), -1
        while not stop.wait(_PLAIN_LINE_SECONDS):
            done, elapsed = _read(actor), time.monotonic() - started
            if done == shown:
                continue
            shown = done
            of_total = f"/{total}" if total else ""
            eta = f", eta {elapsed / done * (total - done):.0f} s" if total and done else ""
            self.console.print(f"  {self.label:<12} {done}{of_total} {unit}, {elapsed:.0f} s{eta}")


def _read(actor: Any) -> int:
    import ray

    try:
        return int(ray.get(actor.read.remote(), timeout=5))
    except ray.exceptions.RayError:  # the cluster is going down; the stage itself reports why
        return 0
