"""The teacher behind an OpenAI-compatible endpoint: one task with an event loop that keeps every slot busy.

Slots take requests from a queue one by one and know no batches, so none of them waits for the slowest request of a
batch. Rows go from the object store to the task and from there to the log; nothing of them comes back.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from jobs.progress import Counter
from jobs.ray_session import on_cluster
from qa_core.config.teachers import EndpointTeacher
from qa_core.dataset.reply_log import ReplyLog, ReplyWriter
from qa_core.errors import UserError
from qa_core.manifest import digest

if TYPE_CHECKING:
    from ray.data import Dataset

    from qa_core.dataset.endpoint import Endpoint
    from qa_core.dataset.requests import Request

_CPUS = 0.1
"""The task waits for the endpoint nearly all the time."""


def ask_endpoint(requests: Dataset, teacher: EndpointTeacher, log: ReplyLog, counter: Counter) -> None:
    """Ask every row of ``requests`` (schema ``REQUESTS``); returns when all replies are in ``log``.

    At most ``max_in_flight`` requests are under way at any moment; a kill loses these and no reply that had come.
    The budget covers what ``log`` says was spent at this endpoint before.

    Raises:
        UserError: the endpoint is down, refuses the key, does not know the model, or fails one request after another.
    """
    key = os.environ.get(teacher.compute.api_key_env)
    # The key travels as a masked argument: an environment set through Ray would show it in the cluster's tables.
    asking = _Asking(teacher, SecretStr(key) if key else None, log, counter)
    on_cluster(_Asking.run, asking, list(requests.to_arrow_refs()), num_cpus=_CPUS)


def account(teacher: EndpointTeacher) -> str:
    """Name in the log of those who share a budget: all that ask the same model at the same endpoint."""
    return digest([teacher.compute.base_url, teacher.model])[:12]


@dataclass(frozen=True)
class _Asking:
    """What the task is given and does."""

    teacher: EndpointTeacher
    key: SecretStr | None
    log: ReplyLog
    counter: Counter

    def run(self, blocks: Sequence[Any]) -> None:
        """Ask every row of the blocks, which are references to Arrow tables."""
        mistake: UserError | None = None
        try:
            asyncio.run(self._ask(blocks))
        except* UserError as mistakes:
            mistake = _first(mistakes)
        if mistake is not None:
            raise mistake

    async def _ask(self, blocks: Sequence[Any]) -> None:
        from qa_core.dataset.endpoint import Endpoint

        compute, name = self.teacher.compute, account(self.teacher)
        spent = self.log.spent(name)
        queue: asyncio.Queue[Request | None] = asyncio.Queue(maxsize=compute.batch_size)
        writing = asyncio.Lock()
        with self.log.writer(name) as writer:
            async with Endpoint(self.teacher, self.key, spent) as endpoint, asyncio.TaskGroup() as slots:
                for _ in range(compute.max_in_flight):
                    slots.create_task(self._work(queue, endpoint, writer, writing))
                await self._fill(queue, blocks)

    async def _fill(self, queue: asyncio.Queue[Request | None], blocks: Sequence[Any]) -> None:
        """Queue every request, and for every slot the word to stop."""
        import ray

        from qa_core.dataset.requests import Request

        # A task whose machine was lost starts from the beginning on another one.
        known = self.log.replied_ids()
        for block in blocks:
            table = await asyncio.to_thread(ray.get, block)
            for batch in table.to_batches(max_chunksize=self.teacher.compute.batch_size):
                unanswered = [row for row in batch.to_pylist() if row["request_id"] not in known]
                self.counter.advance(batch.num_rows - len(unanswered))
                for row in unanswered:
                    await queue.put(Request.from_row(row))
        for _ in range(self.teacher.compute.max_in_flight):
            await queue.put(None)

    async def _work(
        self, queue: asyncio.Queue[Request | None], endpoint: Endpoint, writer: ReplyWriter, writing: asyncio.Lock
    ) -> None:
        """One slot."""
        while (request := await queue.get()) is not None:
            reply = await endpoint.reply(request)
            async with writing:
                # In a thread, as an object store may take its time; one at a time, as a writer is for one user.
                await asyncio.to_thread(writer.append, reply)
            self.counter.advance()


def _first(mistakes: BaseExceptionGroup[UserError]) -> UserError:
    """Of several slots' mistakes; all of them met the same one."""
    error: BaseException = mistakes
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, UserError)
    return error
