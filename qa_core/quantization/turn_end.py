"""Which tokens end an answer, as the Hugging Face folder of a model has it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from qa_core.quantization.reference import load_tokenizer
from qa_core.schemas import Message


def stop_tokens(model: Path, answered: Sequence[Message]) -> list[int]:
    """Ids of the tokens that must stop generation, in order.

    They are the ``eos_token_id`` of the generation settings (or else of the configuration), and the special token that
    the chat template writes behind an answer, if it writes one there.

    Args:
        answered: a conversation that ends with an answer.
    """
    tokenizer = load_tokenizer(model)
    rendered = tokenizer.apply_chat_template(answered, tokenize=False)
    behind = rendered.rpartition(answered[-1]["content"].strip())[2].lstrip()
    first = tokenizer(behind, add_special_tokens=False)["input_ids"][:1]
    return sorted({*_configured(model), *(token for token in first if token in tokenizer.all_special_ids)})


def _configured(model: Path) -> list[int]:
    for name in ("generation_config.json", "config.json"):
        file = model / name
        value = json.loads(file.read_text(encoding="utf-8")).get("eos_token_id") if file.is_file() else None
        if value is not None:
            return [value] if isinstance(value, int) else list(value)
    return []
