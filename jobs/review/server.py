"""The page's server: static files, three routes, and a guard against other pages of the same browser.

A page on the web can send requests to this machine. It cannot name itself in the Host header, though, nor send JSON
without asking first; so a request is served only under the server's own name, and a decision only as JSON of its own
page.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.console import Console
from rich.markup import escape

from jobs.review.desk import Desk
from qa_core.artifacts import RunStore
from qa_core.dataset.reviews import Decision, Verdict, local_file, reviews_uri
from qa_core.errors import UserError
from qa_core.manifest import now

_PAGE = Path(__file__).parent / "page"
_FILES = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js"}
_LOCAL_HOSTS = ("127.0.0.1", "localhost")
_LONGEST_TEXT = 20_000
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class DecisionRequest(BaseModel):
    """What the page sends."""

    model_config = ConfigDict(extra="forbid")

    qa_id: str = Field(max_length=100)
    decision: Verdict
    question: str | None = Field(None, max_length=_LONGEST_TEXT)
    answer: str | None = Field(None, max_length=_LONGEST_TEXT)
    note: str = Field("", max_length=_LONGEST_TEXT)


def serve_review(store: RunStore, host: str, port: int, console: Console) -> None:
    """Serve the page until Ctrl-C. Port 0 takes a free one.

    Raises:
        UserError: the host is not this machine, the port is taken, the run is stored elsewhere or has no rows.
    """
    if host not in _LOCAL_HOSTS:
        raise UserError(f"the review page is for this machine only, not for {host}", "Leave the host at 127.0.0.1.")
    local_file(store)
    desk = Desk(store)
    with _listening(host, port) as listener:
        url = f"http://{host}:{listener.getsockname()[1]}"
        console.print(f"Review rows at [bold]{url}[/bold]  {escape(_progress(desk))}")
        console.print(f"  Decisions go to {escape(reviews_uri(store))}, each at once. Ctrl-C ends.")
        _run(review_app(desk, listener.getsockname()[1]), listener)
    console.print(f"\n{escape(_progress(desk))}")
    console.print("  `lectern generate-qa --force` with this config applies the decisions; no reply is paid for twice.")


def review_app(desk: Desk, port: int) -> FastAPI:
    """The application, as it is served on ``port``."""
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    names = frozenset(f"{name}:{port}" for name in _LOCAL_HOSTS)

    @api.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        refusal = _refusal(request, names)
        response = JSONResponse({"detail": refusal[1]}, refusal[0]) if refusal else await call_next(request)
        response.headers.update(_HEADERS)
        return response

    for path, name in _FILES.items():
        api.add_api_route(path, _sends(name), methods=["GET"])

    @api.get("/api/rows")
    def overview() -> dict[str, Any]:
        return desk.overview()

    @api.get("/api/rows/{qa_id}")
    def row(qa_id: str) -> dict[str, Any]:
        if qa_id not in desk:
            raise HTTPException(404, f"There is no row {qa_id!r} in this run.")
        return desk.row(qa_id)

    @api.post("/api/decisions")
    def decide(request: DecisionRequest) -> dict[str, Any]:
        if request.qa_id not in desk:
            raise HTTPException(404, f"There is no row {request.qa_id!r} in this run.")
        try:
            desk.decide(Decision(**request.model_dump(), time=now()))
        except ValidationError as error:
            raise HTTPException(422, error.errors()[0]["msg"]) from error
        return desk.row(request.qa_id)

    @api.exception_handler(UserError)
    def cannot(_: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 500)

    return api


def _refusal(request: Request, names: frozenset[str]) -> tuple[int, str] | None:
    """Status and reason why ``request`` is not of the page; None when it may be served."""
    if request.headers.get("host") not in names:
        return 421, "This server answers under its own name only."
    origin = request.headers.get("origin")
    if origin is not None and origin not in {f"http://{name}" for name in names}:
        return 403, "Decisions come from the server's own page only."
    if request.method == "POST" and request.headers.get("content-type", "").split(";")[0] != "application/json":
        return 415, "Decisions come as application/json."
    return None


def _sends(name: str) -> Callable[[], FileResponse]:
    def send() -> FileResponse:
        return FileResponse(_PAGE / name)

    return send


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # before the address is told: a browser that is quicker than the server waits
    except OSError as error:
        listener.close()
        problem = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be opened: {error.strerror}"
        raise UserError(f"port {port} {problem}", "Give another --port; 0 takes a free one.") from error
    return listener


def _run(app: FastAPI, listener: socket.socket) -> None:
    import uvicorn

    # uvicorn ends in good order on a signal and raises it again afterwards, which ends this function only.
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2))
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        return


def _progress(desk: Desk) -> str:
    counts = desk.counts()
    reviewed = counts["accept"] + counts["edit"] + counts["reject"]
    return (
        f"{reviewed:,} of {counts['rows']:,} rows reviewed: {counts['accept']:,} accepted, {counts['edit']:,} edited, "
        f"{counts['reject']:,} rejected"
    )
