"""The conversations in the forms that other training tools read; ``messages`` itself is what TRL reads.

Field names as documented by LLaMA-Factory (``data/README.md``) and Axolotl (``docs/dataset-formats``):

* ``sharegpt``: ``conversations`` with ``from`` (system, human, gpt) and ``value``. LLaMA-Factory ``formatting:
  sharegpt``; Axolotl ``type: chat_template``, ``field_messages: conversations``, ``message_property_mappings: {role:
  from, content: value}``.
* ``alpaca``: ``instruction``, ``input``, ``output``, ``system``. LLaMA-Factory ``formatting: alpaca``; Axolotl ``type:
  alpaca``, which does not read ``system``.

The user's turn goes out whole, passages and question as the service will send them: ``input`` stays empty, since tools
put it behind the instruction in ways of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from qa_core.dataset.layout import SPLITS
from qa_core.schemas import Message

ExportForm = Literal["sharegpt", "alpaca"]
EXPORT_FORMS: tuple[ExportForm, ...] = get_args(ExportForm)

DESCRIPTION = "dataset_info.json"
"""LLaMA-Factory looks here for what a folder's files are."""

_SHAREGPT_ROLES = {"system": "system", "user": "human", "assistant": "gpt"}


def export_files(rows: pa.Table, form: ExportForm) -> dict[str, str]:
    """Name and content of every file: JSON lines for each split, and LLaMA-Factory's description.

    Args:
        rows: columns ``split`` and ``messages`` of ``schemas.QA``.
    """
    files = {
        f"{split}.jsonl": "".join(json_lines(rows.filter(pc.equal(rows["split"], split))["messages"].to_pylist(), form))
        for split in SPLITS
    }
    return {**files, DESCRIPTION: json.dumps(_description(form), indent=2) + "\n"}


def json_lines(conversations: Sequence[Sequence[Message]], form: ExportForm) -> Iterator[str]:
    """One JSON object a conversation, with its line break."""
    for messages in conversations:
        yield json.dumps(_FORMS[form](messages), ensure_ascii=False) + "\n"


def _sharegpt(messages: Sequence[Message]) -> dict[str, Any]:
    return {
        "conversations": [{"from": _SHAREGPT_ROLES[turn["role"]], "value": turn["content"]} for turn in messages],
    }


def _alpaca(messages: Sequence[Message]) -> dict[str, Any]:
    system, user, assistant = (turn["content"] for turn in messages)
    return {"instruction": user, "input": "", "output": assistant, "system": system}


_FORMS: dict[ExportForm, Callable[[Sequence[Message]], dict[str, Any]]] = {"sharegpt": _sharegpt, "alpaca": _alpaca}

_COLUMNS: dict[ExportForm, dict[str, str]] = {
    "sharegpt": {"messages": "conversations"},
    "alpaca": {"prompt": "instruction", "query": "input", "response": "output", "system": "system"},
}


def _description(form: ExportForm) -> dict[str, Any]:
    return {
        f"lectern_{split}": {"file_name": f"{split}.jsonl", "formatting": form, "columns": _COLUMNS[form]}
        for split in SPLITS
    }
