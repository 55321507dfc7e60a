"""What model cards say of where a model comes from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

HUB_NAME = re.compile(r"(?P<organization>[\w.-]+)/(?P<name>[\w.-]+)")
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


def origin(base_model: str) -> str:
    """A hub name as it is; of a folder or ``package:MODULE/FOLDER`` its last part, which says nothing of a machine."""
    base_model = base_model.rstrip("/")
    return base_model if HUB_NAME.fullmatch(base_model) else base_model.rsplit("/", 1)[-1]


def card_license(card: Path) -> str | None:
    """What the front matter of a Hugging Face model card says; None where there is no card or no licence in it."""
    if not card.is_file():
        return None
    matter = _FRONT_MATTER.match(card.read_text(encoding="utf-8", errors="replace"))
    try:
        content: Any = yaml.safe_load(matter[1]) if matter else None
    except yaml.YAMLError:  # a card is prose for people; its licence is then not known
        return None
    value = content.get("license") if isinstance(content, dict) else None
    return value if isinstance(value, str) else None
