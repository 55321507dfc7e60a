"""Refusals, in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serving.schemas.base import ApiModel


class ErrorDetail(ApiModel):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(ApiModel):
    error: ErrorDetail


INTERNAL = ErrorDetail(
    message="The server failed to answer; its log says why.", type="server_error", code="internal_error"
)


class ApiError(Exception):
    """A request that is answered with an error in OpenAI's shape."""

    # No class-level defaults: Ray wraps an error of another process in a subclass that finds these attributes through
    # __getattr__, which a class attribute would hide.
    def __init__(self, status: int, detail: ErrorDetail, retry_after_s: int | None = None) -> None:
        super().__init__(detail.message)
        self.status = status
        self.detail = detail
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[type[ApiError], tuple[int, ErrorDetail, int | None]]:
        return type(self), (self.status, self.detail, self.retry_after_s)

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}


def invalid_request(message: str, param: str | None = None, code: str | None = None, status: int = 400) -> ApiError:
    """A mistake of the client."""
    return ApiError(status, ErrorDetail(message=message, type="invalid_request_error", param=param, code=code))


def overloaded(message: str, retry_after_s: int = 1) -> ApiError:
    """503: nothing is wrong with the request, it may come again after ``retry_after_s`` seconds."""
    detail = ErrorDetail(message=message, type="server_error", code="overloaded")
    return ApiError(503, detail, retry_after_s)


def unauthorized(message: str) -> ApiError:
    return ApiError(401, ErrorDetail(message=message, type="authentication_error", code="invalid_api_key"))


def rate_limited(limit: int, retry_after_s: int) -> ApiError:
    detail = ErrorDetail(
        message=f"This key may send {limit} requests a minute; try again in {retry_after_s} s.",
        type="rate_limit_error",
        code="rate_limit_exceeded",
    )
    return ApiError(429, detail, retry_after_s)


def prompt_too_long(prompt_tokens: int, answer_tokens: int, n_ctx: int) -> ApiError:
    return invalid_request(
        f"The prompt has {prompt_tokens} tokens and {answer_tokens} are kept for the answer, but the context holds "
        f"{n_ctx} tokens. Shorten the messages or lower max_tokens.",
        param="messages",
        code="context_length_exceeded",
    )


def from_validation(errors: Sequence[Mapping[str, Any]]) -> ApiError:
    """The first of pydantic's ``errors`` as a 400; the value itself is not repeated, as it may be anything."""
    first = errors[0]
    # The path may hold a field name of the client's own making.
    path = (
        ".".join(str(part) for part in first["loc"] if part != "body")[:200].encode(errors="replace").decode() or None
    )
    if first["type"] == "extra_forbidden":
        return invalid_request(f"Unknown field: {path}", param=path, code="unknown_parameter")
    message = str(first["msg"]).removeprefix("Value error, ")
    return invalid_request(f"{path}: {message}" if path else message, param=path)
