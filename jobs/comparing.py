"""``lectern convert --compare``: several quantisations of the tuned model side by side, before one is chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, get_args

from rich.console import Console
from rich.markup import escape

from jobs.model_copies import ModelCopies
from jobs.pipeline import connect, only_one, stage_context
from jobs.plan import PlannedStage
from jobs.ray_session import on_cluster
from jobs.scratch import local_scratch
from qa_core.artifacts import Artifact, RunStore
from qa_core.config import ConvertSettings, GenerationSettings, LecternConfig
from qa_core.errors import UserError

if TYPE_CHECKING:
    from qa_core.quantization.comparison import Asked, Compared

F16 = "F16"
_QUESTIONS = 64
_HEADINGS = ("type", "megabytes", "bits/weight", "KLD", "term KLD", "same top", "answer F1", "tokens/s")


def compare_types(
    config: LecternConfig, store: RunStore, planned: PlannedStage, names: Sequence[str], loss: float,
    console: Console, address: str | None,
) -> None:  # fmt: skip
    """Make, measure and print each type on validation rows; nothing is published.

    Args:
        loss: most F1 that the chosen type may lose against 16 bits.
    """
    from qa_core.quantization.comparison import smallest_within

    _check_names(names)
    compute = config.convert.compute
    with ExitStack() as stack:
        stack.enter_context(only_one(store))
        connect(stack, console, address)
        context = stage_context(config, store, planned, console)
        f16, *others = on_cluster(
            _measure_all, config.convert, config.generation, dict(context.inputs), context.scratch, list(names),
            num_cpus=compute.num_cpus, num_gpus=compute.num_gpus,
        )  # fmt: skip
        store.drop_scratch(planned.stage.name)
    for line in _table([f16, *others]):
        console.print(escape(line))
    chosen = smallest_within(others, f16, config.convert.parity, loss)
    bounds = f"the gate's limits of divergence and a loss of {loss:g} F1 against {F16}"
    if chosen is None:
        console.print(f"none of them stays within {bounds}")
    else:
        console.print(f"smallest within {bounds}: [bold]convert.quantization={chosen.name}[/bold]")


def _check_names(names: Sequence[str]) -> None:
    known = get_args(ConvertSettings.model_fields["quantization"].annotation)
    for name in names:
        if name not in known:
            raise UserError(f"--compare does not know the type {name!r}", f"Known are {', '.join(known)}.")


def _measure_all(
    settings: ConvertSettings, generation: GenerationSettings, inputs: dict[str, Artifact], scratch: str,
    names: Sequence[str],
) -> list[Compared]:  # fmt: skip
    """16 bits first, then the types in the order they were named."""
    from qa_core.quantization.calibration import held_out
    from qa_core.quantization.comparison import measure

    with local_scratch(scratch) as folder:
        copies = ModelCopies(inputs, settings, folder)
        f16 = copies.f16("tuned")
        rows = held_out(copies.folder("tuned"), *copies.tables(), settings).conversations
        files = [(F16, f16), *((name, copies.quantized("tuned", name)) for name in names)]
        asked = _asked(inputs["qa"])
        return [measure(name, file, f16, rows, asked, generation, settings.compute.n_threads) for name, file in files]


def _asked(qa: Artifact) -> list[Asked]:
    """Answerable questions of the validation split, as they are served."""
    from qa_core.quantization.comparison import Asked

    rows = qa.read_table(["qa_id", "split", "answerable", "answer", "messages"]).sort_by("qa_id").to_pylist()
    chosen = [row for row in rows if row["split"] == "validation" and row["answerable"]][:_QUESTIONS]
    return [Asked(row["messages"][:-1], row["answer"]) for row in chosen]


def _table(compared: Sequence[Compared]) -> list[str]:
    rows = [_HEADINGS, *map(_cells, compared)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _cells(one: Compared) -> tuple[str, ...]:
    figures = ((one.mean_kld, ".4f"), (one.term_kld, ".4f"), (one.same_top, ".3f"), (one.f1, ".3f"))
    return (
        one.name,
        f"{one.nbytes / 1e6:,.1f}",
        f"{one.bits_per_weight:.2f}",
        *("-" if math.isnan(value) else f"{value:{layout}}" for value, layout in figures),
        "-" if math.isnan(one.tokens_per_second) else f"{one.tokens_per_second:,.0f}",
    )
