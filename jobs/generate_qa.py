"""Stage ``generate-qa``: chunks/ + index/ -> qa/ + qa_rejected/, in rounds until every quota is met.

A round plans requests, asks the teacher, examines its replies and, where there is a judge, has them judged. Quotas
count what was accepted, so a round asks for what the ones before it left short. Every step runs on the cluster and
leaves a table in the stage's scratch folder; no row passes through the driver. Replies stay in the run's reply log,
so a killed run, a changed setting or a replay sends only what has no reply yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from jobs.ray_session import on_cluster
from jobs.rows.estimating import (
    SAMPLE_ASKING,
    SAMPLE_CANDIDATES,
    SAMPLE_TABLE,
    Cost,
    Sampled,
    estimate,
    plan_sample,
    read_estimate,
    sampled,
    spent,
    write_estimate,
)
from jobs.rows.examining import candidates_table, examine
from jobs.rows.judging import JUDGING, judge_model, plan_judging
from jobs.rows.planning import Round, plan_round
from jobs.rows.settling import Finished, Settled, finish, funnel_steps, settle
from jobs.rows.work import RowsWork
from jobs.stages import StageContext, StageOutcome
from jobs.teaching import ask
from qa_core.config import GenerateQASettings, TeacherSettings
from qa_core.dataset.planning import Demand
from qa_core.dataset.reply_log import ReplyLog
from qa_core.errors import UserError

Result = TypeVar("Result")

_BLOCK = 256
"""Requests of a block on their way to the teacher."""


def run(context: StageContext) -> StageOutcome:
    """Raises :class:`~qa_core.dataset.funnel.YieldTooLow` when too little is accepted."""
    settings, work, started = context.config.generate_qa, open_work(context), time.monotonic()
    demand, rounds = Demand(missing=settings.quotas.by_type), 0
    while rounds < settings.max_rounds and any(demand.missing.values()):
        planned = _on_cluster(work, plan_round, work, rounds, demand)
        rounds += 1
        if not planned.requests:
            break  # every passage has been asked
        _carry_out(context, work, planned)
        settled = _on_cluster(work, settle, work, rounds)
        demand = _what_is_left(settings, planned, settled)
        if settled.out_of_budget:
            raise _budget_spent(settings, demand)
    finished = _on_cluster(work, finish, work, rounds, dict(context.outputs))
    actual = _on_cluster(work, spent, work, rounds, time.monotonic() - started)
    return _outcome(finished, {"rounds": rounds, "predicted": read_estimate(work), "actual": actual})


def dry_run(context: StageContext) -> tuple[Cost, Sampled]:
    """What the stage would cost, and the sample of requests that tells so; its replies are kept."""
    work = open_work(context)
    unanswered = _on_cluster(work, plan_sample, work)
    started = time.monotonic()
    _ask(context, work, SAMPLE_ASKING, unanswered, context.config.generate_qa.teacher)
    seconds = time.monotonic() - started
    with context.progress.track("replies examined", None) as counter:
        examine(work, SAMPLE_TABLE, SAMPLE_CANDIDATES, counter)
    sample = _on_cluster(work, sampled, work)
    start_seconds = max(0.0, seconds - sample.seconds) if unanswered else 0.0
    cost = estimate(context.config.generate_qa, sample, start_seconds)
    _on_cluster(work, write_estimate, work, cost)
    return cost, sample


def open_work(context: StageContext) -> RowsWork:
    """The stage's work. A language model's replies are kept for the run; those of the rules alone are made anew."""
    settings, store = context.config.generate_qa, context.outputs["qa"].store
    asks_model = settings.teacher.engine != "template" or settings.judge is not None
    log = ReplyLog(f"{store.uri}/.replies" if asks_model else f"{context.scratch}/replies")
    return RowsWork(context.config, dict(context.inputs), context.scratch, log)


def _carry_out(context: StageContext, work: RowsWork, planned: Round) -> None:
    settings = context.config.generate_qa
    _ask(context, work, planned.asking_table, planned.to_ask, settings.teacher)
    with context.progress.track("replies examined", planned.requests) as counter:
        examine(work, planned.requests_table, candidates_table(planned.number), counter)
    if settings.judge is not None:
        to_judge = _on_cluster(work, plan_judging, work, planned.number + 1)
        _ask(context, work, JUDGING, to_judge, judge_model(work), "verdicts")


def _ask(
    context: StageContext, work: RowsWork, table: str, count: int, teacher: TeacherSettings, unit: str = "replies"
) -> None:
    if not count:
        return
    with context.progress.track(unit, count) as counter:
        requests = work.dataset(table, -(-count // _BLOCK))
        ask(requests, teacher, work.replies, counter, context.config.run.seed)


def _budget_spent(settings: GenerateQASettings, demand: Demand) -> UserError:
    """Nothing is published: the same command goes on with what was paid for, once there is more to spend."""
    quota, missing = sum(settings.quotas.by_type.values()), sum(demand.missing.values())
    return UserError(
        f"the budget is spent with {quota - missing} of {quota} rows accepted; every reply is kept",
        "Raise budget_tokens or budget_money and run again, or lower generate_qa.quotas to what there is.",
    )


def _what_is_left(settings: GenerateQASettings, planned: Round, settled: Settled) -> Demand:
    quotas = settings.quotas.by_type
    missing = {kind: quota - settled.kept.get(kind, 0) for kind, quota in quotas.items()}
    return Demand(missing=missing, asked=planned.asked, accepted=settled.accepted)


def _outcome(finished: Finished, metrics: dict[str, Any]) -> StageOutcome:
    funnel = finished.funnel
    return StageOutcome(
        num_rows={"qa": funnel.accepted, "qa_rejected": sum(funnel.rejected.values())},
        rejected=funnel.rejected,
        metrics={"rows": funnel.accepted, **finished.of_split, **metrics, "counts": funnel.to_json()},
        funnel=funnel_steps(funnel),
    )


def _on_cluster(work: RowsWork, function: Callable[..., Result], *args: Any) -> Result:
    return on_cluster(function, *args, num_cpus=work.config.generate_qa.compute.cpus_per_worker)
