"""Commands about question/answer rows: ask again for the rejected ones, review, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli_stages import Address, Configs, Overrides, load, run_stages
from jobs.console import person_console
from jobs.stages import STAGES
from qa_core.artifacts import RunStore

rows = typer.Typer()


@rows.command("replay-rejected")
def replay_rejected(
    overrides: Overrides = None,
    config: Configs = [],  # noqa: B006
    address: Address = None,
) -> None:
    """Ask again for the rows that were rejected.

    Each request goes out once more with the reasons, and what is accepted of the replies is added. Nothing else is
    asked.

    Example: lectern replay-rejected --config qwen2.5-3b
    """
    from jobs.replay import plan_replay

    settings = load(config, overrides)
    plan_replay(settings, RunStore.open(settings.run.storage, settings.run.name), person_console())
    run_stages([STAGES["generate-qa"]], config, overrides, force=True, dry_run=False, address=address)


@rows.command()
def review(
    overrides: Overrides = None,
    config: Configs = [],  # noqa: B006
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the page; 0 takes a free one.")] = 8600,
) -> None:
    """Accept, edit or reject rows by keyboard, on a page of this machine.

    Every decision is saved at once and holds in each later run: `lectern generate-qa --force` applies them.

    Example: lectern review --config tiny
    """
    from jobs.review import serve_review

    settings = load(config, overrides)
    serve_review(RunStore.open(settings.run.storage, settings.run.name), "127.0.0.1", port, person_console())


@rows.command("export-qa")
def export_qa(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for one file a split.", show_default=False)],
    form: Annotated[
        str, typer.Option("--format", "-f", help="sharegpt or alpaca; qa/ itself opens with datasets.load_dataset.")
    ] = "sharegpt",
    overrides: Overrides = None,
    config: Configs = [],  # noqa: B006
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Write the rows in the form that other training tools read.

    Example: lectern export-qa --config tiny --format alpaca --out exports
    """
    from jobs.export import export_dataset

    settings = load(config, overrides)
    qa = RunStore.open(settings.run.storage, settings.run.name).artifact("qa")
    export_dataset(qa, form, out, person_console(), force=force)
