"""The command line. Each command parses, plans and hands over; the work is in the job modules."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
import yaml
from rich.markup import escape

from jobs.cli_convert import convert
from jobs.cli_rows import rows
from jobs.cli_stages import Address, Configs, DryRun, Force, Overrides, load, run_stages
from jobs.console import person_console
from jobs.stages import PIPELINE, STAGES, Stage
from qa_core.config import LecternConfig
from qa_core.config_loader import load_config
from qa_core.errors import UserError

USER_MISTAKE = 2

app = typer.Typer(
    name="lectern",
    help="A folder of technical papers in, a tuned, quantised, retrieval-backed model with cited answers out.",
    epilog="Example: lectern run --config tiny   then   lectern ask --config tiny 'What is a hedged request?'",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


@app.command()
def run(
    overrides: Overrides = None,
    config: Configs = [],  # noqa: B006  typer needs the literal default
    force: Force = False,
    dry_run: DryRun = False,
    address: Address = None,
) -> None:
    """Run all stages, papers to evaluation.

    They are: base-model, chunk, index, generate-qa, finetune, convert, eval.
    Finished stages with unchanged settings and inputs are skipped.

    Example: lectern run --config tiny finetune.max_steps=40
    """
    run_stages(PIPELINE, config, overrides, force, dry_run, address)


def _stage_command(stage: Stage) -> Callable[..., None]:
    def command(
        overrides: Overrides = None,
        config: Configs = [],  # noqa: B006
        force: Force = False,
        dry_run: DryRun = False,
        address: Address = None,
    ) -> None:
        run_stages([stage], config, overrides, force, dry_run, address)

    command.__doc__ = f"{stage.help}\n\nExample: lectern {stage.name} --config tiny"
    return command


for _stage in STAGES.values():
    if _stage.name != "convert":
        app.command(_stage.name)(_stage_command(_stage))
app.command()(convert)
app.add_typer(rows)


@app.command()
def ask(
    asked: Annotated[
        list[str],
        typer.Argument(
            metavar="QUESTION... [SECTION.KEY=VALUE]...",
            help="Questions, each in quotes, and settings that win over the files.",
            show_default=False,
        ),
    ],
    config: Configs = [],  # noqa: B006
    rag: Annotated[
        bool, typer.Option("--rag/--no-rag", help="Answer from retrieved passages, or from the model alone.")
    ] = True,
    url: Annotated[
        str | None, typer.Option("--url", help="Ask a running service; found by itself when left out.")
    ] = None,
) -> None:
    """Answer questions, each with its sources.

    Uses the service of `lectern serve` when one is running, and the model in this process otherwise.

    Example: lectern ask --config tiny "What is a hedged request?" "What is a block table?"
    """
    from jobs.ask import ask_and_print

    overrides = [text for text in asked if _is_setting(text)]
    questions = [text for text in asked if not _is_setting(text)]
    ask_and_print(load(config, overrides), questions, rag=rag, url=url, console=person_console())


def _is_setting(text: str) -> bool:
    """Whether ``text`` means to be ``section.key=value``, rightly spelt or not; a question may hold a ``=``, too."""
    key, equals, _ = text.partition("=")
    section = key.strip().partition(".")[0].casefold()
    return bool(equals) and len(key.split()) == 1 and (section in LecternConfig.model_fields or "." in key)


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
    load(config, overrides)  # a mistake is told before the serving process takes over
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

    raise typer.Exit(run_doctor(load(config, overrides), person_console()))
