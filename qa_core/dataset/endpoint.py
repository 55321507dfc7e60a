"""One OpenAI-compatible endpoint: a request in, a reply out, whatever happened on the way.

Every try counts: what failed stands in the reply, what it may have cost is booked, and what strikes all requests alike
ends the run instead of rejecting them one by one. The key is known to the client alone.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import openai
from openai.types.chat import ChatCompletion
from pydantic import SecretStr

from qa_core.config.teachers import EndpointTeacher
from qa_core.dataset.endpoint_failures import Failure, Health, one_line, refusal, unreachable_remedy
from qa_core.dataset.reply_log import Reply
from qa_core.dataset.requests import Request
from qa_core.dataset.spending import BudgetSpent, Ledger, Pace, Tokens
from qa_core.errors import UserError

_CONNECT_S = 10.0
_TRIES_TO_REACH = 3
"""Tries after which an endpoint that never said anything counts as down."""
_NOT_CONNECTED = {"ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol"}
"""Names of the HTTP library's errors from before a request was sent; the client wraps them all in the same one."""
_NO_KEY = "none"
"""Local servers take any key, and the client insists on one."""


@dataclass
class _Asking:
    """What has become of one request so far."""

    text: str = ""
    used: Tokens = field(default_factory=Tokens)
    seconds: float = 0.0
    failed_tries: list[str] = field(default_factory=list)

    def reply(self, request: Request, error: str = "") -> Reply:
        return {
            "request_id": request.request_id, "text": self.text, "error": error,
            "prompt_tokens": self.used.prompt, "completion_tokens": self.used.completion,
            "seconds": self.seconds, "failed_tries": self.failed_tries,
        }  # fmt: skip


class Endpoint:
    """Asks the model of ``settings``; any number of requests at once share its rate limit and its budget.

    Args:
        api_key: none for an endpoint that needs none.
        spent: what earlier runs spent of the same budget.

    Raises:
        UserError: ``api_key`` is missing where one is always needed.
    """

    def __init__(
        self, settings: EndpointTeacher, api_key: SecretStr | None = None, spent: Tokens | None = None
    ) -> None:
        compute = settings.compute
        if api_key is None and _is_openai(settings):
            raise UserError(
                f"{compute.base_url} needs a key and {compute.api_key_env} is not set",
                "Set that environment variable, or compute.api_key_env to the name of another.",
            )
        self._settings = settings
        self._key = api_key.get_secret_value() if api_key else _NO_KEY
        self._client = openai.AsyncOpenAI(
            base_url=compute.base_url,
            api_key=self._key,
            max_retries=0,  # every failed try has to be seen here
            timeout=openai.Timeout(compute.timeout_s, connect=min(_CONNECT_S, compute.timeout_s)),
        )
        self.ledger = Ledger(compute, spent)
        self._pace = Pace(compute.requests_per_minute)
        self._health = Health(settings)
        self._heard = False
        self._added = 0
        """Tokens that the endpoint was seen to add to a prompt, beyond what its text can have."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def reply(self, request: Request) -> Reply:
        """A row of ``REPLIES``; what went wrong with this request alone is its ``error``.

        Raises:
            UserError: no other request would fare better: a wrong key, an unknown model, an endpoint that is down.
        """
        asking, retries = _Asking(), 0
        answered = self._health.answered
        while True:
            try:
                failure = await self._try(request, asking)
            except BudgetSpent as error:
                return asking.reply(request, f"budget_spent: {error}")
            if failure is None:
                self._health.note_answer()
                return asking.reply(request)
            self._raise_if_hopeless(failure, len(asking.failed_tries) + 1)
            if failure.reason == "rate_limited" and self._health.answered > answered:
                # It answers others: it is busy, not broken. Giving up would throw away requests at the rate it refuses.
                answered, retries = self._health.answered, 0
            if not failure.passing or retries >= self._settings.compute.max_retries:
                return self._give_up(request, asking, failure)
            asking.failed_tries.append(str(failure))
            retries += 1
            await asyncio.sleep(self._backoff(len(asking.failed_tries), failure))

    async def _try(self, request: Request, asking: _Asking) -> Failure | None:
        """Send once. Text, tokens and seconds go into ``asking``."""
        most = self._most(request)
        await self.ledger.reserve(most)
        used = Tokens()
        try:
            await self._pace.turn()
            started = time.monotonic()
            result = await self._send(request)
            asking.seconds += time.monotonic() - started
            failure = self._take(result, asking) if isinstance(result, ChatCompletion) else result
            if isinstance(result, ChatCompletion):
                used = _usage(result, asking.text, most)
                self._added = max(self._added, used.prompt - _longest_prompt(request))
            elif result.billed:
                used = most
            asking.used += used
        finally:
            self.ledger.settle(most, used)
        return failure

    async def _send(self, request: Request) -> ChatCompletion | Failure:
        timeout = self._settings.compute.timeout_s
        try:
            async with asyncio.timeout(timeout):
                # The client's own limit is for each read, which an endpoint that trickles never exceeds.
                completion: Any = await self._client.chat.completions.create(**self._arguments(request))
        except openai.APIStatusError as error:
            self._heard = True
            return self._refused(error)
        except (TimeoutError, openai.APIConnectionError) as error:
            return self._no_response(error, timeout)
        except (ValueError, openai.APIResponseValidationError) as error:
            self._heard = True
            return Failure("server_error", f"the response is no JSON: {one_line(str(error))}", True, billed=True)
        self._heard = True
        if isinstance(completion, ChatCompletion) and completion.choices and completion.choices[0].message:
            return completion
        # Some relays report their own errors with status 200.
        shown = completion.model_dump_json(exclude_unset=True) if isinstance(completion, ChatCompletion) else completion
        detail = f"the response is no chat completion: {self._without_key(one_line(str(shown)))}"
        return Failure("server_error", detail, True, billed=True)

    def _take(self, completion: ChatCompletion, asking: _Asking) -> Failure | None:
        """The text of the reply, whole or not, goes into ``asking``."""
        choice = completion.choices[0]
        text = choice.message.content if isinstance(choice.message.content, str) else ""
        # JSON can hold half a surrogate pair, which no table takes.
        asking.text = text.encode("utf-8", "replace").decode()
        if choice.message.refusal:
            asking.text = asking.text or choice.message.refusal
            return Failure("refused", one_line(choice.message.refusal))
        if choice.finish_reason == "content_filter":
            return Failure("refused", "the endpoint's content filter stopped the reply")
        if choice.finish_reason == "length":
            return Failure("cut_off", f"no end within max_tokens={self._settings.max_tokens}")
        return None if text.strip() else Failure("empty_reply", "the reply has no text")

    def _refused(self, error: openai.APIStatusError) -> Failure:
        headers = {name.lower(): value for name, value in error.response.headers.items()}
        said = error.body.get("message") if isinstance(error.body, dict) else None
        message = self._without_key(str(said or error.response.text))
        return refusal(error.status_code, error.code or "", message, headers, self._settings, self._health.answered > 0)

    def _no_response(self, error: TimeoutError | openai.APIConnectionError, timeout: float) -> Failure:
        """What the connection broke off at: before anything was sent nothing can have been billed."""
        causes = list(_causes(error))
        cause = one_line(str(causes[-1]) or type(causes[-1]).__name__)
        if {type(cause).__name__ for cause in causes} & _NOT_CONNECTED:
            return Failure("endpoint_unreachable", cause, True)
        if isinstance(error, TimeoutError | openai.APITimeoutError):
            return Failure("timeout", f"no reply within {timeout:g} s", True, billed=True)
        return Failure("connection_lost", cause, True, billed=True)

    def _raise_if_hopeless(self, failure: Failure, tries: int) -> None:
        if failure.remedy:
            raise self._health.hopeless(failure, failure.remedy)
        if failure.reason == "endpoint_unreachable" and not self._heard and tries >= _TRIES_TO_REACH:
            raise self._health.hopeless(failure, unreachable_remedy(self._settings))

    def _give_up(self, request: Request, asking: _Asking, failure: Failure) -> Reply:
        if failure.reason in ("cut_off", "empty_reply", "refused"):
            self._health.note_answer()
        else:
            self._health.note_failure(failure)
        return asking.reply(request, str(failure))

    def _backoff(self, failed: int, failure: Failure) -> float:
        """Seconds to the next try: twice as long each time, and other ones for requests that failed together."""
        longest = min(self._settings.compute.max_backoff_s, 2.0 ** (failed - 1))
        return failure.wait_s + longest * random.uniform(0.5, 1.0)

    def _arguments(self, request: Request) -> dict[str, Any]:
        settings = self._settings
        # OpenAI's newer models refuse the older name, which is the one that other servers know.
        limit = "max_completion_tokens" if _is_openai(settings) else "max_tokens"
        arguments: dict[str, Any] = {
            "model": settings.model,
            "messages": list(request.messages),
            "temperature": settings.temperature,
            limit: settings.max_tokens,
        }
        if settings.response_format == "json_schema":
            schema = {"name": "reply", "strict": True, "schema": json.loads(request.response_schema)}
            arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif settings.response_format == "json_object":
            arguments["response_format"] = {"type": "json_object"}
        return arguments | ({"extra_body": settings.extra_body} if settings.extra_body else {})

    def _most(self, request: Request) -> Tokens:
        """What one try may take."""
        return Tokens(_longest_prompt(request) + self._added, self._settings.max_tokens)

    def _without_key(self, text: str) -> str:
        """Some endpoints say which key was wrong."""
        return text if self._key == _NO_KEY else text.replace(self._key, "***")


def _is_openai(settings: EndpointTeacher) -> bool:
    return (urlsplit(settings.compute.base_url).hostname or "").endswith((".openai.com", ".openai.azure.com"))


def _longest_prompt(request: Request) -> int:
    """Most tokens of what is sent: no tokenizer in use makes more than one of two bytes of text, on the whole."""
    return (sum(len(message["content"].encode()) for message in request.messages) + len(request.response_schema)) // 2


def _usage(completion: ChatCompletion, text: str, most: Tokens) -> Tokens:
    """As the endpoint counts; where it does not, from the length of the texts."""
    if completion.usage is not None:
        return Tokens(completion.usage.prompt_tokens or 0, completion.usage.completion_tokens or 0)
    return Tokens(most.prompt, len(text.encode()) // 2)


def _causes(error: BaseException) -> list[BaseException]:
    """``error`` and what led to it, the last one first to happen."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    return chain
