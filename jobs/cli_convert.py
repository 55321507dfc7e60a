"""The command of the convert stage, which can also compare types and tell sizes before anything is made."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.cli_stages import Address, Configs, DryRun, Force, Overrides, load, run_stages, told
from jobs.console import logged_console
from jobs.stages import STAGES
from qa_core.artifacts import RunStore
from qa_core.screen import log_path

_STAGE = STAGES["convert"]


def convert(
    overrides: Overrides = None,
    config: Configs = [],  # noqa: B006  typer needs the literal default
    force: Force = False,
    dry_run: DryRun = False,
    address: Address = None,
    compare: Annotated[
        str | None,
        typer.Option(metavar="TYPES", help="Make and measure these types instead, such as Q4_K_M,Q4_K_S,IQ4_XS."),
    ] = None,
    loss: Annotated[float, typer.Option(help="With --compare: most F1 that the chosen type may lose.", min=0)] = 0.02,
) -> None:
    """Merge, calibrate and quantise to GGUF.

    With --compare nothing is published: a table shows what each type costs, and which is the smallest that loses
    little enough.

    Example: lectern convert --config tiny --compare Q4_K_M,Q4_K_S,IQ4_XS
    """
    if compare is None:
        run_stages([_STAGE], config, overrides, force, dry_run, address)
    else:
        _compare([name.strip() for name in compare.split(",")], loss, config, overrides, address)


def _compare(
    names: list[str], loss: float, configs: list[str], overrides: list[str] | None, address: str | None
) -> None:
    from jobs.comparing import compare_types
    from jobs.plan import make_plan

    config = load(configs, overrides)
    store = RunStore.open(config.run.storage, config.run.name)
    (planned,) = make_plan(config, store, [_STAGE], force=True)
    log_file = log_path(store, "compare")
    with logged_console(log_file) as console, told(console, log_file):
        compare_types(config, store, planned, names, loss, console, address)
