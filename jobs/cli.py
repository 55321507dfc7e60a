"""The command line. Each command parses, plans and hands over; the work is in the job modules."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.markup import escape

from jobs.console import gist, logged_console, person_console
from jobs.stages import PIPELINE, STAGES, Stage
from qa_core.artifacts import RunStore
from qa_core.config import LecternConfig
from qa_core.config_loader import load_config, shipped_configs
from qa_core.errors import UserError
from qa_core.screen import log_path

DONE, FAILED, USER_MISTAKE, STOPPED = 0, 1, 2, 130

app = typer.Typer(
    name="lectern",
    help="A folder of technical papers in, a tuned, quantised, retrieval-backed model with cited answers out.",
    epilog="Example: lectern run --config tiny   then   lectern ask --config tiny 'What is a virtual node?'",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

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
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="ADDRESS", help="A Ray cluster (host:port or 'auto'); this machine when left out."
    ),
]


def main() -> None:
    """Entry point of ``lectern``: turns every end into an exit code (0 done, 1 failed, 2 the user's mistake)."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        app(prog_name="lectern")
    except UserError as error:
        _complain(f"lectern: {error}")
        sys.exit(USER_MISTAKE)


def _as_interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _complain(text: str) -> None:
    person_console(sys.stderr).print(escape(text), style="bold red" if sys.stderr.isatty() else None)


def _run_stages(
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

    config = _load(configs, overrides)
    store = RunStore.open(config.run.storage, config.run.name)
    plan = make_plan(config, store, stages, force=force)
    if dry_run:
        print_plan(person_console(), config, store, plan)
        return
    log_file = log_path(store, stages[0].name if len(stages) == 1 else "run")
    with logged_console(log_file) as console, _told(console, log_file):
        console.print(
            f"[bold]lectern {config.run.name}[/bold]  {escape(store.uri)}  [dim]log {escape(str(log_file))}[/dim]"
        )
        run_plan(config, store, plan, console, address)
        print_made(console, store, plan)


@contextmanager
def _told(console: Console, log_file: Path) -> Iterator[None]:
    """Ends of a run that are not the user's mistake: a line on the screen, the traceback in the log."""
    try:
        yield
    except UserError:
        raise
    except KeyboardInterrupt:  # told here, as typer would only say "Aborted!"
        console.print("lectern: stopped. Finished stages are kept; the same command goes on from here.")
        raise typer.Exit(STOPPED) from None
    except Exception as error:
        traceback.print_exception(error)  # stderr is the log file here
        console.print(f"[bold red]lectern: failed:[/bold red] {escape(gist(error))}")
        console.print(f"  The whole story is in {escape(str(log_file))}. The same command goes on from here.")
        raise typer.Exit(FAILED) from error


def _load(configs: list[str], overrides: list[str] | None) -> LecternConfig:
    if not configs and not overrides:
        raise UserError("no config given", f"Try --config tiny. Shipped: {', '.join(shipped_configs())}.")
    return load_config(configs, overrides or [])


@app.command()
def run(
    overrides: Overrides = None,
    config: Configs = [],  # noqa: B006  typer needs the literal default
    force: Force = False,
    dry_run: DryRun = False,
    address: Address = None,
) -> None:
    """Run all stages, papers to evaluation.

    They are: base-model, chunk, generate-qa, index, finetune, convert, eval.
    Finished stages with unchanged settings and inputs are skipped.

    Example: lectern run --config tiny finetune.max_steps=40
    """
    _run_stages(PIPELINE, config, overrides, force, dry_run, address)


def _stage_command(stage: Stage) -> Callable[..., None]:
    def command(
        overrides: Overrides = None,
        config: Configs = [],  # noqa: B006
        force: Force = False,
        dry_run: DryRun = False,
        address: Address = None,
    ) -> None:
        _run_stages([stage], config, overrides, force, dry_run, address)

    command.__doc__ = f"{stage.help}\n\nExample: lectern {stage.name} --config tiny"
    return command


for _stage in STAGES.values():
    app.command(_stage.name)(_stage_command(_stage))


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question, in quotes.", show_default=False)],
    overrides: Overrides = None,
    config: Configs = [],  # noqa: B006
    rag: Annotated[
        bool, typer.Option("--rag/--no-rag", help="Answer from retrieved passages, or from the model alone.")
    ] = True,
    url: Annotated[
        str | None, typer.Option("--url", help="Ask a running service; found by itself when left out.")
    ] = None,
) -> None:
    """Answer one question, with its sources.

    Uses the service of `lectern serve` when one is running, and the model in this process otherwise.

    Example: lectern ask --config tiny "What is a virtual node?"
    """
    from jobs.ask import ask_and_print

    ask_and_print(_load(config, overrides), question, rag=rag, url=url, console=person_console())


@app.command()
def serve(
    overrides: Overrides = None,
    config: Configs = [],  # noqa: B006
    address: Address = None,
) -> None:
    """Serve answers until Ctrl-C.

    An OpenAI-compatible endpoint over the run's quantised model and its index.

    Example: lectern serve --config tiny serve.port=8001
    """
    _load(config, overrides)  # a mistake is told before the serving process takes over
    arguments = [sys.executable, "-m", "serving"]
    for name in config:
        arguments += ["--config", name]
    arguments += ["--address", address] if address else []
    os.execv(sys.executable, [*arguments, *(overrides or [])])


@app.command(context_settings={"ignore_unknown_options": True})
def submit(
    command: Annotated[list[str], typer.Argument(help="A lectern command and its arguments.", show_default=False)],
    address: Annotated[str, typer.Option("--address", help="The cluster's job endpoint.")] = "http://127.0.0.1:8265",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the job's log until it ends.")] = True,
) -> None:
    """Run a lectern command as a job on a Ray cluster.

    Example: lectern submit --address http://HEAD:8265 run --config qwen2.5-3b run.storage=s3://BUCKET/lectern
    """
    from jobs.submit import submit as submit_job

    raise typer.Exit(submit_job(command, address, wait=wait))


@app.command("config")
def show_config(
    overrides: Overrides = None,
    config: Configs = [],  # noqa: B006
) -> None:
    """Print every setting after all layers.

    The output is YAML that goes back in with --config.
    """
    tree: dict[str, Any] = load_config(config, overrides or []).model_dump(mode="json")
    typer.echo(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def doctor(
    overrides: Overrides = None,
    config: Configs = [],  # noqa: B006
) -> None:
    """Check this machine and a config.

    Versions, CPUs, memory, disk, models, papers, port: each with a remedy where something is wrong.
    """
    from jobs.doctor import run_doctor

    raise typer.Exit(run_doctor(_load(config, overrides), person_console()))
