"""Every refusal, whoever makes it, has OpenAI's shape."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from starlette.exceptions import HTTPException

from serving.metrics import ServiceMetrics
from serving.schemas.errors import INTERNAL, ApiError, ErrorBody, from_validation, invalid_request, overloaded

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


@contextmanager
def overload_told(metrics: ServiceMetrics) -> Iterator[None]:
    """A queue that is full, or a deployment that is not there, is answered with 503 and counted."""
    try:
        yield
    except (BackPressureError, DeploymentUnavailableError) as error:
        metrics.refused()
        raise overloaded("The service has as many requests as it can queue; try again.") from error


def refusal(error: ApiError, headers: dict[str, str] | None = None) -> JSONResponse:
    """The response that tells ``error``."""
    body = ErrorBody(error=error.detail).model_dump()
    return JSONResponse(body, status_code=error.status, headers={**(headers or {}), **error.headers})
