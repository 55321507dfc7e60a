"""The vLLM teacher: requests through ``ray.data.llm``. A CPU and a GPU differ in the teacher's ``compute`` alone.

Requests reach the engine in the order in which they come, which is by passage: its prefix cache then reads a passage
once for all questions about it. A batch's replies are in the log when its last one is there, whatever the batches
before it do; so a kill loses what the engine was at, ``batch_size`` times ``max_concurrent_batches`` for each replica.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jobs.console import gist
from jobs.progress import Counter
from jobs.teaching.engine_checks import engine_environment, on_gpu, require_engine
from jobs.teaching.engine_model import load_tokenizer, model_location
from qa_core.config import VllmTeacher
from qa_core.dataset.engine_rows import ENGINE_OUTPUT, engine_reply, engine_row, overflow_reply
from qa_core.dataset.reply_log import ReplyLog
from qa_core.errors import UserError

if TYPE_CHECKING:
    from ray.data import Dataset

_SIDE_CPUS = 0.1
"""Of each operator beside the engine. A whole CPU each would leave some waiting for ever on a small machine."""

_MOST_RESTARTS = 5
"""Of one replica, whether its engine died or its node; without a limit a deadly request would be sent for ever."""

_ENGINE_OPTIONS: dict[str, Any] = {
    "enable_prefix_caching": True,
    # Blanks between the parts of a reply mean nothing, and small models do not stop writing them.
    "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
}


def ask_engine(requests: Dataset, teacher: VllmTeacher, log: ReplyLog, counter: Counter, seed: int) -> None:
    """Ask every row of ``requests`` (schema ``REQUESTS``); returns when each has its reply in ``log``.

    Raises:
        UserError: the cluster, the installation or the model does not fit, which is found before an engine is started;
            or the engine did not start, or died again and again.
    """
    import ray

    require_engine(teacher)
    try:
        batches = _batches(requests, teacher, log, counter, seed)
        if batches.count():
            _answer(batches, teacher, log, counter)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayActorError as error:
        raise UserError(
            f"the vLLM engine did not start, or died {_MOST_RESTARTS + 1} times: {gist(error)}",
            "The log has what it wrote itself; its options are in engine_kwargs. Replies that had come are kept.",
        ) from error


def count_tokens(teacher: VllmTeacher) -> Callable[[str], int]:
    """Counts the tokens of a text as the teacher does. Loads its tokenizer now, and nothing else of it.

    Raises:
        UserError: there is no such model, or it has no chat template.
    """
    return load_tokenizer(teacher).count


def _batches(requests: Dataset, teacher: VllmTeacher, log: ReplyLog, counter: Counter, seed: int) -> Dataset:
    """Rows for the engine, a batch in a block: it hands on a block when all of that is answered.

    Made before the engine starts, as cutting into blocks takes a whole CPU, which a small machine then has no more.
    """
    import ray

    rows = requests.map_batches(
        _Tokenize,
        fn_constructor_kwargs={"teacher": teacher, "log": log, "counter": counter, "seed": seed},
        batch_format="pyarrow",
        batch_size=teacher.compute.batch_size,
        compute=ray.data.ActorPoolStrategy(size=1),
        num_cpus=_SIDE_CPUS,
        runtime_env={"env_vars": engine_environment(teacher)},
    ).materialize()
    return rows.repartition(target_num_rows_per_block=teacher.compute.batch_size).materialize()


def _answer(batches: Dataset, teacher: VllmTeacher, log: ReplyLog, counter: Counter) -> None:
    from ray.data.llm import build_processor

    # A batch that is done must not wait for an earlier one: a kill would lose it.
    batches.context.execution_options.preserve_order = False
    processor = build_processor(
        _processor_config(teacher),
        postprocess=_answered,
        preprocess_map_kwargs={"num_cpus": _SIDE_CPUS},
        postprocess_map_kwargs={"num_cpus": _SIDE_CPUS},
    )
    processor.get_stage_by_name("vLLMEngineStage").map_batches_kwargs.update(
        max_restarts=_MOST_RESTARTS, max_task_retries=_MOST_RESTARTS
    )
    processor(batches).map_batches(
        partial(_log_batch, teacher=teacher, log=log, counter=counter), batch_format="pyarrow", num_cpus=_SIDE_CPUS
    ).materialize()


def _processor_config(teacher: VllmTeacher) -> Any:
    from ray.data.llm import vLLMEngineProcessorConfig

    compute = teacher.compute
    return vLLMEngineProcessorConfig(
        model_source=model_location(teacher),
        engine_kwargs=_engine_kwargs(teacher),
        batch_size=compute.batch_size,
        concurrency=(compute.concurrency, compute.concurrency),
        max_concurrent_batches=compute.max_concurrent_batches,
        placement_group_config=compute.placement_group_config,
        accelerator_type=compute.accelerator_type,
        runtime_env={"env_vars": engine_environment(teacher)},
        should_continue_on_error=True,
        # Prompts are measured before they are sent, so they come as tokens; and the engine gives text by itself.
        chat_template_stage=False,
        tokenize_stage=False,
        detokenize_stage=False,
    )


def _engine_kwargs(teacher: VllmTeacher) -> dict[str, Any]:
    kwargs = {
        **_ENGINE_OPTIONS,
        "max_model_len": teacher.max_model_len,
        "tensor_parallel_size": teacher.tensor_parallel_size,
        "pipeline_parallel_size": teacher.pipeline_parallel_size,
    }
    if not on_gpu(teacher):
        # vLLM 0.29 on a CPU dies of a request with a seed whose prompt it reads in several steps ("CPU Generator does
        # not use offset"), so there it reads every prompt in one.
        kwargs |= {"enable_chunked_prefill": False, "max_num_batched_tokens": max(teacher.max_model_len, 4096)}
    return kwargs | teacher.engine_kwargs


class _Tokenize:
    """Rows of ``REQUESTS`` to rows for the engine; those that are too long for it get their reply here."""

    def __init__(self, teacher: VllmTeacher, log: ReplyLog, counter: Counter, seed: int) -> None:
        self._tokenizer = load_tokenizer(teacher)
        self._teacher, self._log, self._counter, self._seed = teacher, log, counter, seed

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        context, rows, too_long = self._teacher.context_tokens, [], []
        for request in batch.to_pylist():
            prompt = self._tokenizer.prompt(request["messages"])
            if len(prompt) < context:
                rows.append(engine_row(request, prompt, self._teacher, self._seed))
            else:
                too_long.append(overflow_reply(request["request_id"], len(prompt), context))
        _write(too_long, self._log, self._counter)
        if rows:
            yield pa.Table.from_pylist(rows)


def _answered(row: dict[str, Any]) -> dict[str, Any]:
    """What a reply is made from. Rows that failed do not come by here: they keep all the engine's columns."""
    return {name: row[name] for name in ENGINE_OUTPUT}


def _log_batch(batch: pa.Table, teacher: VllmTeacher, log: ReplyLog, counter: Counter) -> pa.Table:
    rows = batch.select([*ENGINE_OUTPUT, "__inference_error__"]).to_pylist()
    _write([engine_reply(row, teacher) for row in rows], log, counter)
    return pa.table({"answered": [len(rows)]})


def _write(replies: list[dict[str, Any]], log: ReplyLog, counter: Counter) -> None:
    with log.writer() as writer:
        for reply in replies:
            writer.append(reply)
    counter.advance(len(replies))
