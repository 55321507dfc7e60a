"""What every request must pass before a route sees it: host, origin, key, rate and size."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.body import BoundedBody, too_large
from serving.keys import KeyFile, RateLimit
from serving.refusals import refusal
from serving.room import Room
from serving.schemas.errors import ApiError, invalid_request, rate_limited, unauthorized

OPEN_PATHS = frozenset({"/", "/page.js", "/page.css", "/health", "/ready"})
"""Served without a key: the page holds nothing, and asks for one; the others cost a token a second at most."""
GENERATING = frozenset({"/v1/chat/completions", "/v1/completions"})
"""What takes a place at a generator."""


class Guard:
    """ASGI middleware. Websites that a user visits must not reach a service on the user's machine (DNS rebinding and
    cross-site requests), so the host and the origin are checked on every method, with a key or without."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: Collection[str],
        max_body_bytes: int,
        body_timeout_s: float,
        keys: KeyFile | None = None,
        rate: RateLimit | None = None,
        room: Room | None = None,
    ) -> None:
        self._app, self._max_body_bytes, self._body_timeout_s = app, max_body_bytes, body_timeout_s
        self._room = room
        self._hosts = frozenset(host.lower() for host in hosts)
        self._keys, self._rate = keys, rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        else:
            body = BoundedBody(receive, self._max_body_bytes, self._body_timeout_s)
            with ExitStack() as held:
                try:
                    self._check(scope)
                    if self._room and scope["path"] in GENERATING:
                        self._room.require()  # refused before the body is read
                        await body.whole()  # who sends a byte at a time must not hold a place meanwhile
                        held.enter_context(self._room.place())
                except ApiError as error:
                    await refusal(error)(scope, receive, send)
                else:
                    await self._pass_on(scope, body, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self._keys is None and not is_loopback((scope.get("client") or ("", 0))[0]):
            raise invalid_request("Without API keys this service is for its own machine alone.", status=403)
        host = headers.get("host", "")
        if not self._knows(hostname(f"//{host}")):
            raise invalid_request(
                f"The host {host[:100]!r} is not served here; serve.allowed_hosts names those that are.", status=403
            )
        origin = headers.get("origin")
        if origin is not None and host_and_port(origin) != host and hostname(origin) not in self._hosts:
            raise invalid_request(f"Pages of {origin[:100]!r} may not use this service.", status=403)
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length[:20]) > self._max_body_bytes:
            raise too_large(self._max_body_bytes)
        if scope["path"] not in OPEN_PATHS:
            self._admit(headers)

    def _admit(self, headers: Headers) -> None:
        holder: str | None = "everybody"
        if self._keys is not None:
            scheme, _, key = headers.get("authorization", "").partition(" ")
            holder = self._keys.holder(key.strip()) if scheme.lower() == "bearer" else None
            if holder is None:
                raise unauthorized("Send a valid API key: Authorization: Bearer KEY.")
        if self._rate is not None and (seconds := self._rate.wait(holder or "")):
            raise rate_limited(self._rate.per_minute, seconds)

    async def _pass_on(self, scope: Scope, body: BoundedBody, send: Send) -> None:
        """The body is bounded as it comes; whatever the routes say to one that was cut, the answer is why it was."""

        async def told(message: Message) -> None:
            if body.refused is None:
                await send(message)

        try:
            await self._app(scope, body.receive, told)
        except ApiError:
            if body.refused is None:
                raise
        if body.refused is not None:
            await refusal(body.refused)(scope, body.receive, send)

    def _knows(self, name: str) -> bool:
        return name in self._hosts or is_loopback(name)


def hostname(url: str) -> str:
    """Without its port; empty for what is no host."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def host_and_port(origin: str) -> str:
    """Host and port of an origin; empty for ``null`` and for what is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def is_unspecified(name: str) -> bool:
    """Whether it is 0.0.0.0 or ::, under which a service listens and nobody asks."""
    try:
        return ip_address(name).is_unspecified
    except ValueError:
        return False
