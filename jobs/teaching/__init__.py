"""Asking: requests go to whoever the config names, and every reply goes to the log as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jobs.progress import Counter
from qa_core.config import TeacherSettings
from qa_core.dataset.reply_log import ReplyLog


def ask(requests: Any, teacher: TeacherSettings, log: ReplyLog, counter: Counter, seed: int) -> None:
    """Ask every row of the Ray dataset ``requests`` (schema ``REQUESTS``); returns when all replies are in ``log``.

    Raises ``UserError`` where asking is hopeless: no such model, a wrong key, an endpoint that is down. What goes wrong
    with one request is the ``error`` of its reply.
    """
    if teacher.engine == "vllm":
        from jobs.teaching.engine import ask_engine

        ask_engine(requests, teacher, log, counter, seed)
    elif teacher.engine == "openai":
        from jobs.teaching.endpoint import ask_endpoint

        ask_endpoint(requests, teacher, log, counter)
    else:
        from jobs.teaching.rules import ask_rules

        ask_rules(requests, teacher, log, counter, seed)


def token_counter(teacher: TeacherSettings) -> Callable[[str], int] | None:
    """Counts tokens as the teacher does; None for one without a context limit."""
    if teacher.engine == "vllm":
        from jobs.teaching.engine import count_tokens

        return count_tokens(teacher)
    if teacher.engine == "openai":
        return _tokens_at_most
    return None


def _tokens_at_most(text: str) -> int:
    """An upper bound where the tokenizer is not known: byte-level tokenizers need about four bytes of English a token,
    and two of formulas and code."""
    return len(text.encode()) // 2
