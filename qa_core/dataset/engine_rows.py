"""Rows on their way into an engine that Ray Data drives, and out of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from qa_core.config import VllmTeacher
from qa_core.manifest import digest

Row = dict[str, Any]

ENGINE_OUTPUT = ("asked", "prompt_tokens", "generated_text", "num_generated_tokens", "time_taken_llm")
"""Columns that come out of the engine and that a reply is made from."""


def engine_row(request: Mapping[str, Any], prompt: list[int], teacher: VllmTeacher, seed: int) -> Row:
    """What the engine is handed for one row of ``REQUESTS`` whose chat has the token ids ``prompt``.

    The id travels as ``asked``, since the engine writes a ``request_id`` of its own. Every request has its own seed, so
    that its reply does not depend on which other requests are in the engine.
    """
    return {
        "asked": request["request_id"],
        "tokenized_prompt": prompt,
        "prompt_tokens": len(prompt),
        "sampling_params": {
            "temperature": teacher.temperature,
            "max_tokens": teacher.max_tokens,
            "seed": int(digest([request["request_id"], seed])[:8], 16),
            # A string: Arrow would merge the schemas of a block into one struct.
            "structured_outputs": {"json": request["response_schema"]},
        },
    }


def overflow_reply(request_id: str, prompt_tokens: int, context_tokens: int) -> Row:
    """The row of ``REPLIES`` for a request that is too long to be asked."""
    problem = f"the prompt has {prompt_tokens:,} tokens, and prompt and reply together may have {context_tokens:,}"
    return _reply(request_id, error=f"context_overflow: {problem}", prompt_tokens=prompt_tokens)


def engine_reply(row: Mapping[str, Any], teacher: VllmTeacher) -> Row:
    """The row of ``REPLIES`` for what came out of the engine.

    A row that failed in the engine has the columns of one that did not, and the reason in ``__inference_error__``.
    """
    failure = row["__inference_error__"]
    if failure:
        return _reply(row["asked"], error=f"engine_error: {failure}", prompt_tokens=row["prompt_tokens"])
    return _reply(
        row["asked"],
        text=row["generated_text"],
        error=_defect(row, teacher),
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["num_generated_tokens"],
        seconds=row["time_taken_llm"],
    )


def _defect(row: Mapping[str, Any], teacher: VllmTeacher) -> str:
    """Why the text is no whole reply; empty when it is one. The engine's own word for how it ended does not get out."""
    text, tokens = row["generated_text"], row["num_generated_tokens"]
    if not text.strip():
        return f"empty_reply: {tokens} tokens without a character"
    at_limit = tokens >= teacher.max_tokens or row["prompt_tokens"] + tokens >= teacher.max_model_len
    return f"cut_off: the reply was not finished after {tokens:,} tokens" if at_limit and not _is_json(text) else ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text, strict=False)
    except ValueError:
        return False
    return True


def _reply(
    request_id: str, *, text: str = "", error: str, prompt_tokens: int, completion_tokens: int = 0, seconds: float = 0.0
) -> Row:
    return {
        "request_id": request_id,
        "text": text,
        "error": error,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "seconds": seconds,
        "failed_tries": [],
    }
