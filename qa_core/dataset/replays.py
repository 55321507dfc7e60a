"""Which requests of a run were asked again, and with which words: ``.replies/replays.json`` of the run.

It is an input of ``generate-qa``, which finds the new replies in the log and examines them like all others.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow.fs as pafs

from qa_core.artifacts import RunStore
from qa_core.errors import UserError
from qa_core.manifest import digest

Row = Mapping[str, Any]
Replays = dict[str, list[str]]
"""``request_id`` of the first attempt -> for each further attempt, why the one before was rejected."""

TEACHERS_FAULT = ("schema", "stands_alone", "evidence", "grounding", "judge")
"""Steps of the funnel that another reply may pass; duplicates, quotas and a person's decision are final."""
_BAD_REPLIES = ("refused", "refusal", "empty_reply", "cut_off")
"""What of the step ``reply`` is the teacher's doing; where nothing came, every run asks again by itself."""
_NO_FAULT = ("no_pairs", "judge_failed")
"""Nothing to ask about the passage, or nobody who judged."""
_MOST_REASONS = 4


def read_replays(store: RunStore) -> Replays:
    """The requests of this run that were asked again; none when there never was a replay."""
    path = _path(store)
    if store.filesystem.get_file_info(path).type != pafs.FileType.File:
        return {}
    with store.filesystem.open_input_stream(path) as stream:
        text = stream.read()
    try:
        replays = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}", "Delete it; the replays are then asked again.") from error
    return {str(name): [str(reason) for reason in reasons] for name, reasons in replays.items()}


def write_replays(store: RunStore, replays: Mapping[str, Sequence[str]]) -> None:
    """Replace what stands there, at once."""
    path = _path(store)
    store.filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    with store.filesystem.open_output_stream(f"{path}.partial") as stream:
        stream.write(json.dumps(replays, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    store.filesystem.move(f"{path}.partial", path)


def replays_digest(store: RunStore) -> str:
    """What the replays contribute to the identity of the rows; that of no replay when there was none."""
    return digest(read_replays(store))


def with_rejected(replays: Replays, rejected: Iterable[Row]) -> tuple[Replays, int]:
    """``replays`` with one more attempt for each request whose latest attempt is among ``rejected``, and their number.

    Args:
        rejected: rows of ``QA_REJECTED``.
    """
    reasons: dict[str, list[str]] = defaultdict(list)
    for row in rejected:
        is_latest = row["attempt"] == len(replays.get(row["request_id"], ()))
        is_fault = row["stage"] in TEACHERS_FAULT and row["reason"] not in _NO_FAULT
        if (is_fault or row["reason"] in _BAD_REPLIES) and row["request_id"] and is_latest:
            # Not the detail: it may quote the paper, whose words must stay inside the fence.
            reasons[row["request_id"]].append(row["reason"].replace("_", " "))
    longer = {name: list(attempts) for name, attempts in replays.items()}
    for name, said in reasons.items():
        longer.setdefault(name, []).append("; ".join(dict.fromkeys(said[:_MOST_REASONS])))
    return longer, len(reasons)


def _path(store: RunStore) -> str:
    return f"{store.path}/.replies/replays.json"
