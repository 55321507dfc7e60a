"""Candidates before a judge: one more request for each, to the teacher itself or to another model."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.rows.pool import Pool, gather, requests_of
from jobs.rows.work import Row, RowsWork, identity, is_open, table_of
from qa_core.config import JudgeSettings, LanguageModelSettings
from qa_core.dataset.checks.examination import reject_row
from qa_core.dataset.checks.rejection import Rejection
from qa_core.dataset.judging import judge_request, verdict
from qa_core.dataset.planning import by_source
from qa_core.dataset.requests import Request
from qa_core.schemas import REQUESTS

JUDGING = "judging"
"""Table of the requests that still have to be sent."""
_NO_REPLY: Row = {"text": "", "error": "no_reply: the judge was not asked"}


def judge_model(work: RowsWork) -> LanguageModelSettings:
    """Who judges, at temperature 0: a mark that is drawn by lot is none."""
    settings = work.config.generate_qa
    model = settings.judge.model if settings.judge and settings.judge.model else settings.teacher
    assert model.engine != "template"  # the config refuses it
    return model.model_copy(update={"temperature": 0.0})


def plan_judging(work: RowsWork, rounds: int) -> int:
    """Write the requests about candidates whose verdict is not known yet; returns how many they are."""
    requests = list(judge_requests(work, gather(work, rounds).rows, rounds).values())
    answered = work.replies.read({request.request_id for request in requests})
    asking = [request for request in requests if is_open(answered.get(request.request_id))]
    work.write(JUDGING, table_of([request.to_row() for request in by_source(asking)], REQUESTS))
    return len(asking)


def judged(work: RowsWork, pool: Pool, rounds: int) -> tuple[list[Row], list[Row]]:
    """The rows of ``pool`` that the judge lets pass, and rejected rows for the others."""
    judge = work.config.generate_qa.judge
    if judge is None:
        return pool.rows, []
    requests = judge_requests(work, pool.rows, rounds)
    replies = work.replies.read({request.request_id for request in requests.values()})
    passed, rejected = [], []
    for row in pool.rows:
        request = requests.get(row["qa_id"])
        objection = _objection(replies.get(request.request_id, _NO_REPLY), judge) if request else None
        if objection is None:
            passed.append(row)
        else:
            rejected.append(reject_row(row, objection.stage, objection.reason, objection.detail))
    return passed, rejected


def _objection(reply: Row, judge: JudgeSettings) -> Rejection | None:
    if reply["error"]:
        return Rejection("judge", "judge_failed", reply["error"])
    return verdict(reply["text"], judge)


def judge_requests(work: RowsWork, rows: Sequence[Row], rounds: int) -> dict[str, Request]:
    """``qa_id`` -> the request that asks about it. What a person has decided needs no judge."""
    asked = requests_of(work, rounds)
    model = identity(judge_model(work), work.config.run.seed)
    return {
        row["qa_id"]: judge_request(row, asked[row["request_id"]].sources, teacher=model)
        for row in rows
        if row["review"] is None
    }
