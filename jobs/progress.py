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
        self.said: list[str] = []

    def advance(self, n: int) -> None:
        self.done += n

    def reach(self, n: int) -> None:
        self.done = max(self.done, n)

    def say(self, line: str) -> None:
        if line not in self.said:
            self.said.append(line)

    def read(self, heard: int) -> tuple[int, list[str]]:
        return self.done, self.said[heard:]


@dataclass(frozen=True)
class Counter:
    """Counts and speaks from anywhere in the cluster, and never waits."""

    actor: Any

    def advance(self, n: int = 1) -> None:
        self.actor.advance.remote(n)

    def reach(self, n: int) -> None:
        """For work that is started again and passes what it has reached before."""
        self.actor.reach.remote(n)

    def say(self, line: str) -> None:
        """A line for the person; one that was said before is not repeated."""
        self.actor.say.remote(line)


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
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # Beside the driver: a node that is lost must not take it along.
        here: Any = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor: Any = ray.remote(num_cpus=0, scheduling_strategy=here)(_Tally).remote()
        show = self._bar if self.console.is_terminal else self._lines
        stop = threading.Event()
        thread = threading.Thread(target=show, args=(actor, unit, total, stop), daemon=True)
        thread.start()
        try:
            yield Counter(actor)
        finally:
            stop.set()
            thread.join(timeout=5)
            ray.kill(actor)

    def _bar(self, actor: Any, unit: str, total: int | None, stop: threading.Event) -> None:
        with Bars(*self.columns, console=self.console, transient=True) as bars:
            task = bars.add_task(self.label, total=total, unit=unit)
            for done in self._watch(actor, stop):
                bars.update(task, completed=done)

    def _lines(self, actor: Any, unit: str, total: int | None, stop: threading.Event) -> None:
        started = last = time.monotonic()
        shown = -1
        for done in self._watch(actor, stop):
            if time.monotonic() - last < _PLAIN_LINE_SECONDS or done == shown:
                continue
            shown, last = done, time.monotonic()
            of_total = f"/{total}" if total else ""
            eta = f", eta {(last - started) / done * (total - done):.0f} s" if total and done else ""
            self.console.print(f"  {self.label:<12} {done}{of_total} {unit}, {last - started:.0f} s{eta}")

    def _watch(self, actor: Any, stop: threading.Event) -> Iterator[int]:
        """How much is done, twice a second until ``stop``; what is said goes to the screen at once."""
        heard, stopped = 0, False
        while not stopped:
            stopped = stop.wait(_POLL_SECONDS)
            done, lines = _read(actor, heard)
            heard += len(lines)
            for line in lines:
                self.console.print(f"  {self.label:<12} {line}", markup=False)
            if not stopped:
                yield done


def _read(actor: Any, heard: int) -> tuple[int, list[str]]:
    import ray

    try:
        done, lines = ray.get(actor.read.remote(heard), timeout=5)
    except ray.exceptions.RayError:  # the cluster is going down; the stage itself reports why
        return 0, []
    return done, lines
