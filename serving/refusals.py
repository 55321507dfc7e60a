"""Every refusal, whoever makes it, has OpenAI's shape."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serving.schemas.errors import INTERNAL, ApiError, ErrorBody, from_validation, invalid_request

logger = logging.getLogger("ray.serve")


def add_error_handlers(api: FastAPI) -> None:
    async def refused(_: Request, error: ApiError) -> JSONResponse:
        return refusal(error)

    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return refusal(from_validation(error.errors()))

    async def not_routed(_: Request, error: HTTPException) -> JSONResponse:
        return refusal(invalid_request(str(error.detail), status=error.status_code), dict(error.headers or {}))

    async def failed(_: Request, error: Exception) -> JSONResponse:
        logger.error("a request failed", exc_info=error)
        return refusal(ApiError(500, INTERNAL))

    api.add_exception_handler(ApiError, refused)  # type: ignore[arg-type]  # starlette types handlers by Exception
    api.add_exception_handler(RequestValidationError, invalid)  # type: ignore[arg-type]
    api.add_exception_handler(HTTPException, not_routed)  # type: ignore[arg-type]
    api.add_exception_handler(Exception, failed)


def refusal(error: ApiError, headers: dict[str, str] | None = None) -> JSONResponse:
    """The response that tells ``error``."""
    body = ErrorBody(error=error.detail).model_dump()
    return JSONResponse(body, status_code=error.status, headers={**(headers or {}), **error.headers})
