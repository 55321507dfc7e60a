"""What every command that runs stages shares: its options, and the way from a config to a finished plan."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from jobs.console import gist, is_disk_full, logged_console, person_console
from jobs.plan import PlannedStage
from jobs.stages import Stage
from qa_core.artifacts import RunStore
from qa_core.config import LecternConfig
from qa_core.config_loader import load_config, shipped_configs
from qa_core.errors import UserError
from qa_core.screen import log_path

FAILED, STOPPED = 1, 130

Configs = Annotated[
    list[str],
    typer.Option(
        "--config", "-c", help="Shipped name or YAML file; repeat to lay one over another.", show_default=False
    ),
]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="SECTION.KEY=VALUE", help="Settings that win over every file.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace artifacts that were made with other settings.")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Print the plan and stop; generate-qa also asks a dozen requests and estimates the rest."
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="ADDRESS", help="A Ray cluster (host:port or 'auto'); this machine when left out."
    ),
]


def run_stages(
    stages: Sequence[Stage],
    configs: list[str],
    overrides: list[str] | None,
    force: bool,
    dry_run: bool,
    address: str | None,
) -> None:
    from jobs.pipeline import run_plan
    from jobs.plan import make_plan
    from jobs.plan_view import print_made, print_plan

    config = load(configs, overrides)
    store = RunStore.open(config.run.storage, config.run.name)
    plan = make_plan(config, store, stages, force=force)
    if dry_run:
        print_plan(person_console(), config, store, plan)
        if [stage.name for stage in stages] == ["generate-qa"] and plan[0].action != "skip":
            _estimate(config, store, plan[0], address)
        return
    log_file = log_path(store, stages[0].name if len(stages) == 1 else "run")
    with logged_console(log_file) as console, told(console, log_file):
        console.print(
            f"[bold]lectern {config.run.name}[/bold]  {escape(store.uri)}  [dim]log {escape(str(log_file))}[/dim]"
        )
        run_plan(config, store, plan, console, address)
        print_made(console, store, plan)


def _estimate(config: LecternConfig, store: RunStore, planned: PlannedStage, address: str | None) -> None:
    from jobs.estimate import estimate_rows

    log_file = log_path(store, "estimate")
    with logged_console(log_file) as console, told(console, log_file):
        estimate_rows(config, store, planned, console, address)


@contextmanager
def told(console: Console, log_file: Path) -> Iterator[None]:
    """Ends of a run that are not the user's mistake: a line on the screen, the traceback in the log."""
    try:
        yield
    except UserError:
        raise
    except KeyboardInterrupt:  # told here, as typer would only say "Aborted!"
        console.print("lectern: stopped. Finished stages are kept; the same command goes on from here.")
        raise typer.Exit(STOPPED) from None
    except Exception as error:
        if is_disk_full(error):
            raise UserError(
                f"a disk filled up: {gist(error)}", "Free some and run again: it goes on from what was saved before."
            ) from error
        with suppress(OSError):  # the disk may be full, and the screen should still be told
            traceback.print_exception(error)  # stderr is the log file here
        console.print(f"[bold red]lectern: failed:[/bold red] {escape(gist(error))}")
        console.print(f"  The whole story is in {escape(str(log_file))}. The same command goes on from here.")
        raise typer.Exit(FAILED) from error


def load(configs: list[str], overrides: list[str] | None) -> LecternConfig:
    if not configs and not overrides:
        raise UserError("no config given", f"Try --config tiny. Shipped: {', '.join(shipped_configs())}.")
    return load_config(configs, overrides or [])
