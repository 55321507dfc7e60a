"""What can go wrong between a request and its reply: which failures pass, which strike one request and which all."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from qa_core.config.teachers import EndpointTeacher
from qa_core.errors import UserError

Reason = Literal[
    "bad_request", "connection_lost", "context_overflow", "cut_off", "empty_reply", "endpoint_unreachable",
    "rate_limited", "refused", "server_error", "timeout",
]  # fmt: skip

_CONTEXT = re.compile(
    r"context[ _-]?(?:length|window|size|limit)|maximum (?:prompt|input|sequence) length|max_model_len"
    r"|prompt is too long|too many (?:input |prompt )?tokens",
    re.IGNORECASE,
)
_NO_CREDIT_CODES = ("billing_hard_limit_reached", "insufficient_quota")
_FILTER_CODES = ("content_filter", "content_policy_violation")
_LONGEST_WAIT_S = 900.0
"""An endpoint that asks for a longer pause has a limit by the day: waiting for it looks like a hang."""
_FIRST_FAILURES = 8
_FEWEST_FAILURES = 32
_DETAIL_CHARS = 300


@dataclass(frozen=True)
class Failure:
    """Why a try brought no whole reply."""

    reason: Reason
    detail: str
    passing: bool = False
    """Another try may succeed."""
    wait_s: float = 0.0
    """Least pause before it, as the endpoint asked."""
    billed: bool = False
    """The endpoint may have worked on it to the end."""
    remedy: str = ""
    """Every other request would fail in the same way; this is what to do about it."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def refusal(
    status: int, code: str, message: str, headers: Mapping[str, str], settings: EndpointTeacher, answered: bool
) -> Failure:
    """The failure that an HTTP ``status`` of 400 or more stands for.

    Args:
        code: the endpoint's own name for it, such as ``insufficient_quota``; empty when it gives none.
        headers: of the response, their names in lower case.
        answered: whether the endpoint has answered any request before.
    """
    detail, wait = f"{status} {one_line(message)}", retry_after(headers)
    if status in (402, 429) and (status == 402 or code in _NO_CREDIT_CODES):
        return Failure("rate_limited", detail, remedy="Add credit there and run again: the replies so far are kept.")
    if wait > _LONGEST_WAIT_S:
        return Failure(
            "rate_limited", detail, remedy=f"It asks to wait {wait:.0f} s; run again then: the replies are kept."
        )
    if status == 401 or (status == 403 and not answered):
        return Failure("bad_request", detail, remedy=_key_remedy(settings))
    if status == 404:
        return Failure("bad_request", detail, remedy=_place_remedy(settings))
    if status == 429:
        return Failure("rate_limited", detail, passing=True, wait_s=wait)
    if status == 408:
        return Failure("timeout", detail, passing=True, wait_s=wait)
    if status == 409 or status >= 500:
        return Failure("server_error", detail, passing=True, wait_s=wait)
    if code in _FILTER_CODES:
        return Failure("refused", detail)
    if code == "context_length_exceeded" or (status in (400, 413, 422) and _CONTEXT.search(message)):
        return Failure("context_overflow", detail)
    return Failure("bad_request", detail)


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the endpoint asks to wait; 0 when it does not ask."""
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * scale)
        except (KeyError, ValueError):
            continue
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else 0.0


def one_line(text: str) -> str:
    """``text`` without line breaks and of a bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= _DETAIL_CHARS else f"{line[:_DETAIL_CHARS]}..."


class Health:
    """Tells an endpoint that fails one request from one that fails them all.

    Thousands of requests that fail alike would be thousands of rejected rows, and money; so a series of failures ends
    the run. Before the first answer the series may be short, as then the settings are wrong more often than the luck.
    """

    def __init__(self, settings: EndpointTeacher) -> None:
        self._settings = settings
        self.answered = 0
        """Requests that were answered, however badly."""
        self._failed_in_a_row = 0

    def note_answer(self) -> None:
        self.answered += 1
        self._failed_in_a_row = 0

    def note_failure(self, failure: Failure) -> None:
        """Book a request that was given up.

        Raises:
            UserError: too many in a row were.
        """
        if self.answered and failure.reason == "context_overflow":
            return  # requests follow each other by paper, and all of one paper's passages may be long
        self._failed_in_a_row += 1
        patience = max(_FEWEST_FAILURES, self._settings.compute.max_in_flight) if self.answered else _FIRST_FAILURES
        if self._failed_in_a_row >= patience:
            raise self.hopeless(failure, _series_remedy(failure))

    def hopeless(self, failure: Failure, remedy: str) -> UserError:
        """The error that ends the run."""
        place = f"model {self._settings.model!r} at {self._settings.compute.base_url}"
        return UserError(f"{place} cannot be asked: {failure}", remedy)


def unreachable_remedy(settings: EndpointTeacher) -> str:
    """What to do where nothing listens."""
    return f"Start the endpoint or set compute.base_url; nothing answers at {settings.compute.base_url}."


def _key_remedy(settings: EndpointTeacher) -> str:
    return (
        f"Set the environment variable {settings.compute.api_key_env} (compute.api_key_env) to a key of "
        f"{settings.compute.base_url} that may use model {settings.model!r}."
    )


def _place_remedy(settings: EndpointTeacher) -> str:
    return (
        f"Check model={settings.model!r} and compute.base_url={settings.compute.base_url}, which for most endpoints "
        "ends in /v1."
    )


def _series_remedy(failure: Failure) -> str:
    if failure.reason == "bad_request":
        return "Set response_format, extra_body, temperature and max_tokens to what the endpoint takes."
    if failure.reason == "context_overflow":
        return "Set context_tokens to what the endpoint serves."
    if failure.reason == "timeout":
        return "Raise compute.timeout_s or lower compute.max_in_flight, and run again: the replies so far are kept."
    return "Look after the endpoint and run again: the replies so far are kept."
