"""``lectern replay-rejected``: what the teacher got wrong is asked once more, with the reasons, and nothing else is."""

from __future__ import annotations

from rich.console import Console

from qa_core.artifacts import RunStore
from qa_core.config import LecternConfig
from qa_core.dataset.replays import read_replays, with_rejected, write_replays
from qa_core.errors import UserError

_COLUMNS = ["request_id", "attempt", "stage", "reason", "detail"]


def plan_replay(config: LecternConfig, store: RunStore, console: Console) -> None:
    """Note down which rejected requests are asked again; ``generate-qa`` then asks them.

    After a kill the same command goes on: what was noted is not noted twice.
    """
    if config.generate_qa.teacher.engine == "template":
        raise UserError(
            "the template teacher gives the same reply to the same request",
            "A replay needs a language model: generate_qa.teacher.engine=vllm or openai.",
        )
    rejected = store.artifact("qa_rejected")
    if rejected.manifest() is None:
        raise UserError(f"{rejected.uri} is not there, so nothing was rejected", "Run `lectern generate-qa` first.")
    replays = read_replays(store)
    longer, count = with_rejected(replays, rejected.read_table(columns=_COLUMNS).to_pylist())
    if count:
        write_replays(store, longer)
        console.print(f"  {count} requests are asked again, each with the reasons why its reply was rejected")
    else:
        console.print("  no rejected reply is left that was not asked again")
