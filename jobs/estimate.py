"""``lectern generate-qa --dry-run``: requests, tokens, time and money before they are spent."""

from __future__ import annotations

from contextlib import ExitStack

from rich.console import Console
from rich.markup import escape

from jobs.pipeline import connect, only_one, stage_context
from jobs.plan import PlannedStage
from jobs.rows.estimating import Cost, Sampled
from qa_core.artifacts import RunStore
from qa_core.config import LecternConfig
from qa_core.times import duration


def estimate_rows(
    config: LecternConfig, store: RunStore, planned: PlannedStage, console: Console, address: str | None
) -> None:
    """Ask a few of the planned requests and tell what all of them would take."""
    from jobs.generate_qa import dry_run

    with ExitStack() as stack:
        stack.enter_context(only_one(store))
        connect(stack, console, address)
        cost, sample = dry_run(stage_context(config, store, planned, console))
    for line in _lines(config, cost, sample):
        console.print(escape(line))


def _lines(config: LecternConfig, cost: Cost, sample: Sampled) -> list[str]:
    teacher = config.generate_qa.teacher
    quota = sum(config.generate_qa.quotas.by_type.values())
    lines = [f"for {quota:,} accepted rows by {teacher.name}, judged by {sample.requests} requests sent (and kept):"]
    if sample.failed:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(sample.failed.items()))
        lines.append(f"  of those failed  {reasons}")
    lines.append(f"  requests         {cost.requests:,}")
    lines.append(f"  tokens           {cost.prompt_tokens:,} sent, {cost.completion_tokens:,} received")
    lines.append(f"  time             {duration(cost.seconds)}")
    if cost.money:
        lines.append(f"  money            {cost.money:,.2f}, in the currency of the price")
    elif teacher.engine == "openai":
        lines.append("  money            unknown: set generate_qa.teacher.compute.price")
    return lines
