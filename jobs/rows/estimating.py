"""What the rows will cost before they are paid for, and what they did cost.

``lectern generate-qa --dry-run`` sends a few of the planned requests, whose replies are kept, and scales up from them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from jobs.rows.judging import judge_model, judge_requests
from jobs.rows.planning import plan_round
from jobs.rows.pool import gather, requests_of
from jobs.rows.work import Row, RowsWork
from qa_core.config import GenerateQASettings, TeacherSettings
from qa_core.dataset.planning import Demand, expected_rows
from qa_core.dataset.spending import Tokens

SAMPLE = 12
"""Requests that are sent to learn what the others will take."""
SAMPLE_ASKING = "sample-asking"
SAMPLE_TABLE, SAMPLE_CANDIDATES, _ESTIMATE_TABLE = "sample", "sample-candidates", "estimate"


@dataclass(frozen=True)
class Cost:
    """What asking takes, all requests of a run together; money in the currency of the endpoint's ``price``."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    money: float


@dataclass(frozen=True)
class Sampled:
    """What the sample said."""

    requests: int
    accepted_rows: int
    prompt_tokens: float
    """Of a request, on average."""
    completion_tokens: float
    seconds: float
    """From sending to the last byte, on average."""
    failed: Mapping[str, int]
    """Error -> how many requests of the sample it struck."""


def plan_sample(work: RowsWork) -> int:
    """Write a sample of the first round's requests; returns how many of them have no reply yet."""
    planned = plan_round(work, 0, Demand(missing=work.config.generate_qa.quotas.by_type))
    everything = work.read(planned.requests_table)
    step = max(1, everything.num_rows // SAMPLE)
    chosen = everything.take(list(range(0, everything.num_rows, step))[:SAMPLE])
    waiting = set(work.read(planned.asking_table, columns=["request_id"])["request_id"].to_pylist())
    unanswered = pa.array([name.as_py() in waiting for name in chosen["request_id"]], pa.bool_())
    work.write(SAMPLE_TABLE, chosen)
    work.write(SAMPLE_ASKING, chosen.filter(unanswered))
    return chosen.filter(unanswered).num_rows


def sampled(work: RowsWork) -> Sampled:
    """What the examined replies to the sample say."""
    examined = work.read(SAMPLE_CANDIDATES, columns=["accepted"])
    names = work.read(SAMPLE_TABLE, columns=["request_id"])["request_id"].to_pylist()
    replies = list(work.replies.read(set(names)).values())
    whole = [reply for reply in replies if not reply["error"]] or replies
    failed: dict[str, int] = {}
    for reply in replies:
        if reply["error"]:
            reason = reply["error"].partition(":")[0]
            failed[reason] = failed.get(reason, 0) + 1
    return Sampled(
        requests=len(names),
        accepted_rows=examined.num_rows - examined["accepted"].null_count,
        prompt_tokens=_mean(reply["prompt_tokens"] for reply in whole),
        completion_tokens=_mean(reply["completion_tokens"] for reply in whole),
        seconds=_mean(reply["seconds"] for reply in whole),
        failed=failed,
    )


def estimate(settings: GenerateQASettings, sample: Sampled, start_seconds: float) -> Cost:
    """The cost of meeting every quota, judge included, at the sample's yield and speed.

    Args:
        start_seconds: what passed before the first request was answered, such as the loading of an engine.
    """
    per_request = (sample.accepted_rows + expected_rows(settings)) / (sample.requests + 1)
    quota = sum(settings.quotas.by_type.values())
    asks = math.ceil(quota / per_request)
    judged = math.ceil(quota * 1.2) if settings.judge is not None else 0
    prompt = round(sample.prompt_tokens * (asks + judged))
    completion = round(sample.completion_tokens * asks + _VERDICT_TOKENS * judged)
    teacher: Any = settings.teacher
    judge: Any = settings.judge.model if settings.judge and settings.judge.model else teacher
    return Cost(
        requests=asks + judged,
        prompt_tokens=prompt,
        completion_tokens=completion,
        seconds=round(start_seconds + _asking_seconds(teacher, asks + judged, sample), 1),
        money=money(teacher, sample.prompt_tokens * asks, sample.completion_tokens * asks)
        + money(judge, sample.prompt_tokens * judged, _VERDICT_TOKENS * judged),
    )


_VERDICT_TOKENS = 60
"""Three marks and a sentence."""


def _asking_seconds(teacher: TeacherSettings, requests: int, sample: Sampled) -> float:
    """At the sample's pace; what an engine batches beyond the sample's size makes it only quicker."""
    if teacher.engine == "openai":
        per_minute = teacher.compute.requests_per_minute
        slowest = requests * 60 / per_minute if per_minute else 0.0
        return max(slowest, requests * sample.seconds / teacher.compute.max_in_flight)
    if teacher.engine == "vllm":
        return requests * sample.seconds / max(1, sample.requests * teacher.compute.concurrency)
    return 0.0


def money(teacher: Any, prompt_tokens: float, completion_tokens: float) -> float:
    """In the currency of the endpoint's price; 0 where nothing has a price."""
    if teacher.engine != "openai":
        return 0.0
    return Tokens(round(prompt_tokens), round(completion_tokens)).money(teacher.compute.price)


def spent(work: RowsWork, rounds: int, seconds: float) -> Row:
    """What all replies of the run took, those that were known before included; ``seconds`` is this run's own time."""
    settings = work.config.generate_qa
    parties = [(settings.teacher, set(requests_of(work, rounds)))]
    if settings.judge is not None:
        requests = judge_requests(work, gather(work, rounds).rows, rounds).values()
        parties.append((judge_model(work), {request.request_id for request in requests}))
    total = {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0, "failed_tries": 0, "failed": 0}
    price = 0.0
    for model, names in parties:
        replies = list(work.replies.read(names).values())
        prompt, completion = (_sum(replies, name) for name in ("prompt_tokens", "completion_tokens"))
        price += money(model, prompt, completion)
        for key, value in (
            ("requests", len(replies)), ("prompt_tokens", prompt), ("completion_tokens", completion),
            ("failed_tries", sum(len(reply["failed_tries"] or ()) for reply in replies)),
            ("failed", sum(1 for reply in replies if reply["error"])),
        ):  # fmt: skip
            total[key] += value
    return {**total, "seconds": round(seconds, 1), "money": price}


def write_estimate(work: RowsWork, cost: Cost) -> None:
    """Keep the estimate beside the rounds' tables, for the run that will be compared with it."""
    work.write(_ESTIMATE_TABLE, pa.Table.from_pylist([asdict(cost)]))


def read_estimate(work: RowsWork) -> Row | None:
    """The estimate of a dry run with these settings and inputs; None when there was none."""
    return work.read(_ESTIMATE_TABLE).to_pylist()[0] if work.exists(_ESTIMATE_TABLE) else None


def _sum(replies: Sequence[Row], name: str) -> int:
    return sum(reply[name] or 0 for reply in replies)


def _mean(values: Any) -> float:
    listed = [float(value or 0) for value in values]
    return sum(listed) / len(listed) if listed else 0.0
