"""The endpoint teacher's client, against a real server on this machine that fails in every way there is."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from qa_core.config.teachers import EndpointTeacher
from qa_core.dataset.endpoint import Endpoint
from qa_core.dataset.endpoint_failures import retry_after
from qa_core.dataset.reply_log import Reply
from qa_core.dataset.requests import Request
from qa_core.dataset.spending import Tokens
from qa_core.errors import UserError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KEY = "sk-secret-0123456789"
SCHEMA = {"type": "object", "properties": {"pairs": {"type": "array"}}}


def request(number: int = 0) -> Request:
    messages = (
        {"role": "system", "content": "You write."},
        {"role": "user", "content": f"Passage {number}: {'word ' * 80}"},
    )
    return Request(f"r{number}", "factual", 0, 1, (), messages, json.dumps(SCHEMA))  # type: ignore[arg-type]


def settings(
    url: str = "http://127.0.0.1:9/v1", *, compute: dict[str, Any] | None = None, **more: Any
) -> EndpointTeacher:
    quick = {"max_backoff_s": 0.01, "max_retries": 2, "timeout_s": 5.0, "base_url": url}
    return EndpointTeacher(engine="openai", model="tiny-chat", compute={**quick, **(compute or {})}, **more)


def completion(text: str | None, finish_reason: str = "stop", usage: bool = True, **message: Any) -> web.Response:
    body: dict[str, Any] = {
        "id": "c", "object": "chat.completion", "created": 0, "model": "tiny-chat",
        "choices": [{
            "index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text, **message},
        }],
    }  # fmt: skip
    if usage:
        body["usage"] = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return web.json_response(body)


def error(
    status: int, message: str = "no", code: str | None = None, headers: dict[str, str] | None = None
) -> web.Response:
    return web.json_response({"error": {"message": message, "code": code}}, status=status, headers=headers)


async def serve(handler: Handler) -> tuple[web.AppRunner, str]:
    application = web.Application()
    application.router.add_post("/v1/chat/completions", handler)
    runner = web.AppRunner(application, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/v1"


def against(
    handler: Handler,
    use: Callable[[Endpoint], Coroutine[Any, Any, Any]],
    key: str | None = None,
    spent: Tokens | None = None,
    **more: Any,
) -> Any:
    """What ``use`` makes of an endpoint that answers with ``handler``."""

    async def run() -> Any:
        runner, url = await serve(handler)
        try:
            async with Endpoint(settings(url, **more), SecretStr(key) if key else None, spent) as endpoint:
                return await use(endpoint)
        finally:
            await runner.cleanup()

    return asyncio.run(run())


def ask(handler: Handler, **more: Any) -> Reply:
    """The reply to one request."""
    return against(handler, lambda endpoint: endpoint.reply(request()), **more)


def in_turn(*responses: Callable[[web.Request], Any]) -> Handler:
    """Answers the first call with the first response, and so on; the last one again and again."""
    left = list(responses)

    async def handle(received: web.Request) -> web.StreamResponse:
        respond = left.pop(0) if len(left) > 1 else left[0]
        response = respond(received)
        return response if isinstance(response, web.StreamResponse) else await response

    return handle


def good(received: web.Request) -> web.Response:
    return completion('{"pairs": []}')


async def cut(received: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "500"})
    await response.prepare(received)
    await response.write(b'{"id": "c", "choices": [')
    assert received.transport is not None
    received.transport.close()
    return response


async def dropped(received: web.Request) -> web.StreamResponse:
    assert received.transport is not None
    received.transport.abort()
    return web.Response()


async def hanging(received: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def trickling(received: web.Request) -> web.StreamResponse:
    """Says something all the time and never ends: no single read is long."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(received)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


def test_a_reply_has_its_text_tokens_and_time() -> None:
    reply = ask(in_turn(good))
    assert reply.pop("seconds") > 0
    assert reply == {
        "request_id": "r0", "text": '{"pairs": []}', "error": "", "prompt_tokens": 100, "completion_tokens": 20,
        "failed_tries": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("response_format", "expected"),
    [
        ("json_schema", {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": SCHEMA}}),
        ("json_object", {"type": "json_object"}),
        ("text", None),
    ],
)
def test_the_request_carries_the_settings_and_holds_the_model_to_json(response_format: str, expected: Any) -> None:
    seen: list[dict[str, Any]] = []

    async def handle(received: web.Request) -> web.StreamResponse:
        seen.append(await received.json() | {"authorization": received.headers["Authorization"]})
        return good(received)

    ask(handle, key=KEY, response_format=response_format, temperature=0.2, max_tokens=77, extra_body={"top_k": 5})
    (body,) = seen
    assert body.pop("response_format", None) == expected
    assert body == {
        "model": "tiny-chat", "messages": list(request().messages), "temperature": 0.2, "max_tokens": 77, "top_k": 5,
        "authorization": f"Bearer {KEY}",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("failing", "reason", "detail"),
    [
        (lambda _: error(429), "rate_limited", "429"),
        (lambda _: error(408), "timeout", "408"),
        (lambda _: error(409), "server_error", "409"),
        (lambda _: error(500, "boom"), "server_error", "500 boom"),
        (lambda _: web.Response(text="<html>502</html>", status=502), "server_error", "502"),
        (lambda _: web.Response(text="<html>hello</html>", content_type="text/html"), "server_error", "hello"),
        (lambda _: web.Response(text='{"id": ', content_type="application/json"), "server_error", "no JSON"),
        (lambda _: web.json_response({"error": {"message": "upstream"}}), "server_error", "upstream"),
        (lambda _: web.json_response({"choices": [{}]}), "server_error", "no chat completion"),
        (lambda _: web.json_response([1]), "server_error", "no chat completion"),
        (cut, "connection_lost", "incomplete|complete message"),
        (dropped, "connection_lost", "disconnected"),
    ],
)  # fmt: skip
def test_what_may_pass_is_tried_again_and_every_failed_try_is_told(failing: Any, reason: str, detail: str) -> None:
    once = ask(in_turn(failing, good))
    assert once["error"] == ""
    assert [tried.partition(":")[0] for tried in once["failed_tries"]] == [reason]
    always = ask(in_turn(failing))
    assert always["error"].startswith(f"{reason}: ")
    assert any(part in always["error"] for part in detail.split("|"))
    assert len(always["failed_tries"]) == 2


@pytest.mark.parametrize("silent", [hanging, trickling])
def test_an_endpoint_that_does_not_finish_in_time_is_given_up(silent: Any) -> None:
    reply = ask(in_turn(silent, good), compute={"timeout_s": 0.3})
    assert reply["error"] == ""
    assert reply["failed_tries"] == ["timeout: no reply within 0.3 s"]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (error(400, "temperature is not supported"), "bad_request"),
        (error(422, "unknown field"), "bad_request"),
        (error(400, "This model's maximum context length is 4096 tokens"), "context_overflow"),
        (error(400, "too long", "context_length_exceeded"), "context_overflow"),
        (error(400, "the request exceeds the available context size"), "context_overflow"),
        (error(400, "filtered", "content_filter"), "refused"),
        (completion(""), "empty_reply"),
        (completion(" \n"), "empty_reply"),
        (completion(None), "empty_reply"),
        (completion('{"pairs": [{"que', finish_reason="length"), "cut_off"),
        (completion(None, refusal="I can't help with that."), "refused"),
        (completion("", finish_reason="content_filter"), "refused"),
    ],
)
def test_what_another_try_would_not_mend_is_asked_once_and_rejects_one_row(response: web.Response, reason: str) -> None:
    calls = 0

    async def handle(received: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return web.Response(body=response.body, status=response.status, content_type="application/json")

    reply = ask(handle)
    assert reply["error"].startswith(f"{reason}: ")
    assert (calls, reply["failed_tries"]) == (1, [])


def test_what_came_of_a_reply_that_was_cut_off_is_kept_and_paid() -> None:
    reply = ask(in_turn(lambda _: completion('{"pairs": [{"que', finish_reason="length")))
    assert reply["text"] == '{"pairs": [{"que'
    assert reply["completion_tokens"] == 20


def test_half_a_surrogate_pair_in_a_reply_does_not_reach_the_tables() -> None:
    body = json.dumps({"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "SMILE"}}]})
    raw = web.Response(text=body.replace("SMILE", "a\\ud83d b"), content_type="application/json")
    assert ask(in_turn(lambda _: raw))["text"] == "a? b"


def test_an_endpoint_that_asks_to_wait_is_waited_for() -> None:
    times: list[float] = []

    async def handle(received: web.Request) -> web.StreamResponse:
        times.append(time.monotonic())
        return good(received) if len(times) > 1 else error(429, headers={"Retry-After": "1"})

    assert ask(handle)["error"] == ""
    assert times[1] - times[0] >= 1.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "2"}, 2), ({"retry-after-ms": "1500"}, 1.5), ({"retry-after": "soon"}, 0), ({}, 0)],
)
def test_the_wait_is_read_in_every_form(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers) == seconds


def test_the_wait_may_be_a_date() -> None:
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after({"retry-after": "Fri, 31 Dec 2999 23:59:59 GMT"}) > 1e9


def test_a_wait_of_hours_ends_the_run_instead_of_hanging() -> None:
    with pytest.raises(UserError, match="rate_limited") as raised:
        ask(in_turn(lambda _: error(429, "daily limit", headers={"Retry-After": "7200"})))
    assert "7200 s" in raised.value.remedy


def test_a_busy_endpoint_that_answers_others_is_asked_until_it_answers() -> None:
    """Every reply is followed by many refusals, more than the retries of one request."""
    calls = 0

    async def handle(received: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return good(received) if calls % 6 == 0 else error(429)

    async def all_at_once(endpoint: Endpoint) -> list[Reply]:
        return await asyncio.gather(*(endpoint.reply(request(number)) for number in range(12)))

    replies = against(handle, all_at_once, compute={"max_retries": 6})
    assert [reply["error"] for reply in replies] == [""] * 12
    assert sum(len(reply["failed_tries"]) for reply in replies) == calls - 12


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (401, "invalid_api_key", "Set the environment variable MY_KEY"),
        (403, None, "Set the environment variable MY_KEY"),
        (404, "model_not_found", "Check model='tiny-chat' and compute.base_url=http://127.0.0.1"),
        (402, None, "Add credit"),
        (429, "insufficient_quota", "Add credit"),
    ],
)
def test_what_strikes_every_request_ends_the_run_at_the_first(status: int, code: str | None, remedy: str) -> None:
    calls = 0

    async def handle(received: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return error(status, "no", code)

    with pytest.raises(UserError, match=f"model 'tiny-chat' at http://127.0.0.1:.*{status}") as raised:
        ask(handle, compute={"api_key_env": "MY_KEY"})
    assert remedy in raised.value.remedy
    assert calls == 1


def test_an_endpoint_that_is_down_ends_the_run_after_a_few_tries() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"

    async def run() -> Reply:
        async with Endpoint(settings(url, compute={"max_retries": 50})) as endpoint:
            return await endpoint.reply(request())

    with pytest.raises(UserError, match="endpoint_unreachable") as raised:
        asyncio.run(run())
    assert f"nothing answers at {url}" in raised.value.remedy


def test_an_endpoint_that_goes_down_ends_the_run_instead_of_rejecting_the_rest() -> None:
    rejected: list[Reply] = []

    async def run() -> None:
        runner, url = await serve(in_turn(good))
        async with Endpoint(settings(url, compute={"max_in_flight": 4})) as endpoint:
            assert (await endpoint.reply(request()))["error"] == ""
            await runner.cleanup()
            for number in range(1000):
                rejected.append(await endpoint.reply(request(number)))

    with pytest.raises(UserError, match="endpoint_unreachable"):
        asyncio.run(run())
    assert 0 < len(rejected) < 40
    assert all(reply["error"].startswith("endpoint_unreachable: ") for reply in rejected)


def test_settings_that_the_endpoint_never_takes_end_the_run_with_what_it_says() -> None:
    async def one_by_one(endpoint: Endpoint) -> None:
        for number in range(1000):
            assert (await endpoint.reply(request(number)))["error"].startswith("bad_request: 400")

    with pytest.raises(UserError, match="response_format json_schema is unknown") as raised:
        against(in_turn(lambda _: error(400, "response_format json_schema is unknown")), one_by_one)
    assert "response_format" in raised.value.remedy


def test_some_bad_requests_among_good_ones_end_nothing() -> None:
    async def one_by_one(endpoint: Endpoint) -> int:
        return sum([bool((await endpoint.reply(request(number)))["error"]) for number in range(90)])

    turns = [lambda _: error(400), lambda _: error(400), good] * 30
    assert against(in_turn(*turns), one_by_one, compute={"max_in_flight": 4}) == 60


def test_no_more_is_spent_than_the_budget_and_the_rest_says_so() -> None:
    calls = 0

    async def handle(received: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.01)
        return good(received)

    async def all_at_once(endpoint: Endpoint) -> list[Reply]:
        return await asyncio.gather(*(endpoint.reply(request(number)) for number in range(50)))

    replies = against(handle, all_at_once, max_tokens=30, compute={"budget_tokens": 1000})
    answered = [reply for reply in replies if not reply["error"]]
    assert len(answered) == calls
    assert 500 < calls * 120 <= 1000
    refused = [reply["error"] for reply in replies if reply["error"]]
    assert {reason.partition(":")[0] for reason in refused} == {"budget_spent"}
    assert f"{calls * 120} of 1000 tokens are spent" in refused[0]


def test_an_endpoint_that_adds_to_the_prompt_is_soon_reckoned_with() -> None:
    """It counts 100 tokens for a prompt of which far fewer were sent."""

    async def ten_and_then_one_by_one(endpoint: Endpoint) -> list[str]:
        short = replace(request(), messages=({"role": "user", "content": "Hi"},), response_schema="{}")
        first = await asyncio.gather(*(endpoint.reply(short) for _ in range(10)))
        return [reply["error"] for reply in [*first, *[await endpoint.reply(short) for _ in range(30)]]]

    more = {"max_tokens": 30, "response_format": "text", "compute": {"budget_tokens": 3000}}
    errors = against(in_turn(good), ten_and_then_one_by_one, **more)
    assert errors.count("") == 24  # of 120 tokens each, and one more might pass 3,000


def test_what_earlier_runs_spent_is_part_of_the_budget() -> None:
    reply = ask(in_turn(good), spent=Tokens(900, 90), compute={"budget_tokens": 1000})
    assert reply["error"].startswith("budget_spent: 990 of 1000 tokens")


def test_a_try_whose_reply_is_lost_counts_as_all_it_may_have_cost() -> None:
    reply = ask(in_turn(hanging, good), max_tokens=500, compute={"timeout_s": 0.3})
    assert reply["completion_tokens"] == 500 + 20
    assert reply["prompt_tokens"] > 200


def test_an_endpoint_that_does_not_count_tokens_is_counted_by_length() -> None:
    reply = ask(in_turn(lambda _: completion('{"pairs": []}', usage=False)))
    assert reply["completion_tokens"] == 6
    assert reply["prompt_tokens"] > 10


def test_the_rate_is_shared_by_all_slots() -> None:
    async def all_at_once(endpoint: Endpoint) -> float:
        started = time.monotonic()
        await asyncio.gather(*(endpoint.reply(request(number)) for number in range(5)))
        return time.monotonic() - started

    # Four intervals of 0.1 s; a busy machine only makes it longer.
    assert against(in_turn(good), all_at_once, compute={"requests_per_minute": 600}) >= 0.4


def test_the_key_stands_in_no_error_no_log_and_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    async def echo(received: web.Request) -> web.StreamResponse:
        return error(401, f"Incorrect API key provided: {received.headers['Authorization']}")

    caplog.set_level(logging.DEBUG)
    with pytest.raises(UserError) as raised:
        ask(echo, key=KEY)
    assert "Incorrect API key provided: Bearer ***" in str(raised.value)

    async def body(received: web.Request) -> web.StreamResponse:
        return error(500, f"cannot use {received.headers['Authorization']}")

    reply = ask(body, key=KEY)
    shown = against(in_turn(good), _shown, key=KEY)
    assert all(KEY not in text for text in (str(raised.value), caplog.text, str(reply), shown))


async def _shown(endpoint: Endpoint) -> str:
    return f"{endpoint!r} {endpoint} {endpoint.__dict__['_client']!r}"


def test_openai_itself_is_not_asked_without_a_key_and_a_local_server_is() -> None:
    with pytest.raises(UserError, match="OPENAI_API_KEY is not set"):
        Endpoint(settings("https://api.openai.com/v1"))
    assert ask(in_turn(good))["error"] == ""
