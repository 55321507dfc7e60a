"""``lectern replay-rejected``: what the teacher got wrong is asked once more, with the reasons, and nothing else is."""

from __future__ import annotations

from rich.console import Console

from jobs.pipeline import only_one
from jobs.plan import make_plan
from jobs.stages import REPLAYS, REVIEWS, STAGES
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
    with only_one(store):
        _require_current(config, store)
        replays = read_replays(store)
        rejected = store.artifact("qa_rejected").read_table(columns=_COLUMNS).to_pylist()
        longer, count = with_rejected(replays, rejected)
        if count:
            write_replays(store, longer)
            console.print(f"  {count} requests are asked again, each with the reasons why its reply was rejected")
        else:
            console.print("  no rejected reply is left that was not asked again")


def _require_current(config: LecternConfig, store: RunStore) -> None:
    """The rows must be those of ``config``: a replay adds to them, and never replaces them by others."""
    manifest = store.artifact("qa").manifest()
    if manifest is None or store.artifact("qa_rejected").manifest() is None:
        raise UserError(f"{store.uri} has no rows, so nothing was rejected", "Run `lectern generate-qa` first.")
    (planned,) = make_plan(config, store, [STAGES["generate-qa"]], force=True)
    other_inputs = [
        name
        for name, was in planned.inputs.items()
        if name not in (REPLAYS, REVIEWS) and manifest.inputs.get(name) != was
    ]
    if other_inputs or dict(planned.settings) != manifest.config:
        raise UserError(
            f"{store.uri}/qa was made with other settings or inputs: {planned.reason}",
            "Run `lectern generate-qa --force` first, or give the settings that it was made with.",
        )
