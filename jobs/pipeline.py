"""Running a plan: one stage after the other, each published whole, with a line for the person at each border."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from jobs.console import aligned
from jobs.machine import require_room
from jobs.plan import PlannedStage
from jobs.progress import Progress
from jobs.stages import EXTERNAL, FunnelStep, Stage, StageContext, StageOutcome
from qa_core.artifacts import RunStore
from qa_core.config import LecternConfig
from qa_core.errors import UserError
from qa_core.manifest import Manifest, git_commit, now, package_versions


def run_plan(
    config: LecternConfig, store: RunStore, plan: Sequence[PlannedStage], console: Console, address: str | None = None
) -> None:
    """Carry out ``plan``. Ray is started only when a stage has to run."""
    width = max(len(planned.stage.name) for planned in plan)
    with ExitStack() as stack:
        stack.enter_context(only_one(store))
        connected, is_local = False, not (address or os.environ.get("RAY_ADDRESS"))
        for planned in plan:
            label = planned.stage.name.ljust(width)
            if planned.action == "skip":
                console.print(f"[dim]= {label}  unchanged, skipped[/dim]")
                continue
            if not connected:
                if is_local:
                    require_room(config, store)
                connect(stack, console, address)
                connected = True
            outcome, seconds = run_stage(config, store, planned, console, is_local)
            console.print(f"[green]✓[/green] {label}  {seconds:5.1f} s  {escape(_in_words(planned.stage, outcome))}")
            for line in aligned([*_funnel_rows(outcome.funnel), *outcome.table]):
                console.print(f"[dim]    {escape(line)}[/dim]")


def connect(stack: ExitStack, console: Console, address: str | None) -> None:
    """Ray for the rest of ``stack``, and a line that says what it has."""
    from jobs.ray_session import ray_session

    started = time.monotonic()
    with console.status("starting Ray") if console.is_terminal else ExitStack():
        stack.enter_context(ray_session(address))
    import ray

    cpus, gpus = (ray.cluster_resources().get(name, 0) for name in ("CPU", "GPU"))
    console.print(f"[dim]  Ray is up after {time.monotonic() - started:.1f} s: {cpus:g} CPUs, {gpus:g} GPUs[/dim]")


def run_stage(
    config: LecternConfig, store: RunStore, planned: PlannedStage, console: Console, is_local: bool
) -> tuple[StageOutcome, float]:
    """Run one stage in the Ray that is up and publish what it made; returns its outcome and seconds."""
    from jobs.ray_session import require_resources

    stage = planned.stage
    if is_local:  # a cluster that grows may have no node yet, and gets one when a task waits
        needed = stage.resources(config)
        require_resources(stage.name, needed.num_cpus, needed.num_gpus)
    if not console.is_terminal:
        console.print(f"  {stage.name} ...")
    outcome, seconds = carry_out(planned, stage_context(config, store, planned, console))
    store.drop_scratch(stage.name)
    return outcome, seconds


def carry_out(planned: PlannedStage, context: StageContext) -> tuple[StageOutcome, float]:
    """Run the planned stage and publish its outputs; returns its outcome and seconds."""
    for artifact in context.outputs.values():
        artifact.clear_staging()
    started, clock = now(), time.monotonic()
    outcome = planned.stage.run(context)
    seconds = time.monotonic() - clock
    for name in reversed(planned.stage.outputs):  # the first output's manifest says that all of them are there
        context.outputs[name].publish(_manifest(context.config, planned, name, outcome, started, seconds))
    return outcome, seconds


def stage_context(config: LecternConfig, store: RunStore, planned: PlannedStage, console: Console) -> StageContext:
    """What the planned stage's ``run`` is given."""
    return StageContext(
        config=config,
        inputs={name: store.artifact(name) for name in planned.inputs if name not in EXTERNAL},
        outputs={name: store.artifact(name) for name in planned.stage.outputs},
        scratch=store.scratch(planned.stage.name, planned.fingerprint),
        progress=Progress(console, planned.stage.name),
    )


def _manifest(
    config: LecternConfig, planned: PlannedStage, name: str, outcome: StageOutcome, started: str, seconds: float
) -> Manifest:
    return Manifest(
        artifact=name,
        stage=planned.stage.name,
        fingerprint=planned.fingerprint,
        inputs=dict(planned.inputs),
        config=dict(planned.settings),
        seed=config.run.seed,
        num_rows=outcome.num_rows.get(name, 0),
        rejected=dict(outcome.rejected),
        metrics={**outcome.metrics, **({"funnel": list(map(asdict, outcome.funnel))} if outcome.funnel else {})},
        packages=package_versions(),
        git_commit=git_commit(),
        started=started,
        finished=now(),
        seconds=round(seconds, 3),
    )


def _in_words(stage: Stage, outcome: StageOutcome) -> str:
    named = [(name, outcome.metrics[name]) for name in stage.headline if name in outcome.metrics]
    parts = [f"{name.replace('_', ' ')} {_figure(value)}" for name, value in named]
    if outcome.rejected and not outcome.funnel:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(outcome.rejected.items()))
        parts.append(f"rejected: {reasons}")
    return " · ".join(parts)


def _funnel_rows(funnel: Sequence[FunnelStep]) -> Iterator[tuple[str, str, str]]:
    """A row for each step: its name, how many are left, and what was lost on the way to it."""
    for step in funnel:
        lost = ", ".join(f"{n:,} {reason}" for reason, n in step.lost.items())
        yield step.name, f"{step.left:,}", lost and f"without {lost}"


def _figure(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


@contextmanager
def only_one(store: RunStore) -> Iterator[None]:
    """Hold the run's lock; two commands writing one folder would tear each other's staging."""
    if not store.is_local:  # object stores have no locks; the last complete artifact wins there
        yield
        return
    folder = Path(store.path)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"another lectern command is working in {folder}", "Wait for it, or use another run.name=NAME."
            ) from error
        yield
