"""Where the vLLM teacher's model is, and what its files say before an engine loads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jobs.model_reachability import locate_model
from qa_core.config import VllmTeacher
from qa_core.dataset.chat_tokenizer import ChatTokenizer
from qa_core.errors import UserError

_KEY = "model_source"
_SMALL_FILES = ("*.json", "*.jinja", "*.txt", "*.model", "*.py")
"""All of a model but its weights."""


def model_location(teacher: VllmTeacher) -> str:
    """The absolute path of a local model, or the hub name."""
    folder = Path(teacher.model_source).expanduser()
    return str(folder.resolve()) if folder.is_dir() else teacher.model_source


def model_folder(teacher: VllmTeacher) -> Path:
    """A local folder with the model's config and tokenizer; for a hub model its cache, without the weights.

    Raises:
        UserError: there is no such model, or it cannot be fetched from here.
    """
    name = model_location(teacher)
    locate_model(name, None, _KEY)
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(_SMALL_FILES)))
    except (
        HfHubHTTPError,
        LocalEntryNotFoundError,
    ) as error:  # a gated model says so only when its files are asked for
        reason = str(error).strip().splitlines()[-1]
        raise UserError(
            f"{_KEY}={name} cannot be fetched: {reason}", f"Give a folder instead: {_KEY}=FOLDER."
        ) from error


def load_tokenizer(teacher: VllmTeacher) -> ChatTokenizer:
    """Raises ``UserError`` like :func:`model_folder`, and where there is no chat template."""
    return ChatTokenizer(model_folder(teacher), trusts_remote_code(teacher))


def trusts_remote_code(teacher: VllmTeacher) -> bool:
    return bool(teacher.engine_kwargs.get("trust_remote_code", False))


def longest_context(folder: Path) -> int | None:
    """Most tokens that the model in ``folder`` takes; None where its ``config.json`` does not say."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config", config)  # a model that also sees keeps its language part there
    positions = text.get("max_position_embeddings")
    if not isinstance(positions, int):
        return None
    # YaRN and its like stretch what the model was trained on.
    scaling = text.get("rope_parameters") or text.get("rope_scaling") or {}
    trained, factor = scaling.get("original_max_position_embeddings"), scaling.get("factor")
    return max(positions, int(trained * factor)) if trained and factor else positions
