"""The template teacher on Ray Data tasks."""

from __future__ import annotations

from functools import partial
from typing import Any

import pyarrow as pa

from jobs.progress import Counter
from qa_core.config import TemplateTeacher as TemplateTeacherSettings
from qa_core.dataset.reply_log import ReplyLog


def ask_rules(requests: Any, teacher: TemplateTeacherSettings, log: ReplyLog, counter: Counter, seed: int) -> None:
    """Answer every row of the Ray dataset ``requests`` by rule."""
    import ray

    compute = teacher.compute
    requests.map_batches(
        partial(_answer_batch, log=log, counter=counter, seed=seed),
        batch_format="pyarrow",
        batch_size=compute.batch_size,
        compute=ray.data.TaskPoolStrategy(size=compute.num_workers),
        num_cpus=compute.cpus_per_worker,
    ).materialize()


def _answer_batch(batch: pa.Table, log: ReplyLog, counter: Counter, seed: int) -> pa.Table:
    from qa_core.dataset.requests import Request
    from qa_core.dataset.template.teacher import TemplateTeacher

    teacher = TemplateTeacher(seed)
    with log.writer() as writer:
        for row in batch.to_pylist():
            writer.append(
                {
                    "request_id": row["request_id"], "text": teacher.reply(Request.from_row(row)), "error": "",
                    "prompt_tokens": 0, "completion_tokens": 0, "seconds": 0.0, "failed_tries": [],
                }
            )  # fmt: skip
    counter.advance(batch.num_rows)
    return pa.table({"answered": [batch.num_rows]})
