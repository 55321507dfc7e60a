"""A plan before it runs, and what was made after it ran, as tables for a person."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from jobs.plan import PlannedStage
from qa_core.artifacts import RunStore
from qa_core.config import LecternConfig


def print_plan(console: Console, config: LecternConfig, store: RunStore, plan: Sequence[PlannedStage]) -> None:
    """Stages, inputs, outputs, resources and what will be skipped; nothing is started."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("stage", "action", "reads", "writes", "CPUs", "GPUs", "why"):
        table.add_column(heading, justify="right" if heading.endswith("PUs") else "left", overflow="fold")
    for planned in plan:
        needed = planned.stage.resources(config)
        table.add_row(
            planned.stage.name, planned.action, ", ".join(planned.inputs) or "-", ", ".join(planned.stage.outputs),
            f"{needed.num_cpus:g}", f"{needed.num_gpus:g}", planned.reason,
        )  # fmt: skip
    console.print(f"plan for {store.uri}")
    console.print(table)
    runs = sum(planned.action != "skip" for planned in plan)
    console.print(f"{runs} to run, {len(plan) - runs} to skip. Nothing was started.")


def print_made(console: Console, store: RunStore, plan: Sequence[PlannedStage]) -> None:
    """Every artifact of the plan's stages with its rows, size, time and content hash."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("artifact", "rows", "size", "seconds", "content", "where"):
        table.add_column(
            heading, justify="right" if heading in ("rows", "size", "seconds") else "left", overflow="fold"
        )
    for name in (name for planned in plan for name in planned.stage.outputs):
        artifact = store.artifact(name)
        manifest = artifact.manifest()
        if manifest is None:
            continue
        size = sum(record.bytes for record in manifest.files.values())
        table.add_row(
            name,
            f"{manifest.num_rows:,}" if manifest.num_rows else "-",
            _bytes(size),
            f"{manifest.seconds:.1f}",
            manifest.content_hash[:12],
            artifact.uri,
        )
    console.print(table)


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"
