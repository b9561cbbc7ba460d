"""Errors as HTTP responses: each becomes a status, a code and a message without private details."""

import logging
from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from app.api.responses import Problem
from app.errors import AtelierError, InvalidRequest, ModelNotFound, NoRoute, OutOfBounds
from deployments.calls.idempotency import CallRefused

log = logging.getLogger("ray.serve")

CODES: tuple[tuple[type[AtelierError], int, str], ...] = (
    (ModelNotFound, 404, "model_not_found"),
    (NoRoute, 422, "role_not_deployed"),
    (OutOfBounds, 422, "out_of_bounds"),
    (InvalidRequest, 422, "invalid_request"),
)
"""Errors whose messages are written for callers; those of all others only go to the log."""
FAILED = Problem(
    status=500, code="internal_error", message="internal error; retry, and report it if it stays"
)


def problem_of(error: Exception) -> Problem:
    """Returns the problem for an error; an unexpected error is logged and not described."""
    if isinstance(error, CallRefused):
        return error.problem
    for kind, status, code in CODES:
        if isinstance(error, kind):
            return Problem(status=status, code=code, message=str(error))
    log.exception("a call failed", exc_info=error)
    return FAILED


def problem_of_http(error: HTTPException) -> Problem:
    """Returns the problem of an unknown path, a wrong method, or a body that is no UTF-8."""
    if error.status_code == 400:
        return Problem(status=400, code="invalid_body", message="the body is not JSON in UTF-8")
    code = {404: "unknown_url", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    message = f"{error.detail}; GET /openapi.json lists the endpoints"
    return Problem(status=error.status_code, code=code, message=message)


def problem_of_fields(errors: Sequence[Any]) -> Problem:
    """Returns the problem of the first faulty field, without repeating its value."""
    first = errors[0]
    field = ".".join(str(part) for part in first["loc"] if part != "body")
    return Problem(
        status=422,
        code="invalid_parameter",
        param=field or None,
        message=f"{field or 'body'}: {first['msg']}",
    )


def respond(problem: Problem) -> JSONResponse:
    """Returns the response of a problem, with `Retry-After` where waiting helps."""
    headers = {}
    if problem.retry_after_seconds is not None:
        headers["Retry-After"] = str(problem.retry_after_seconds)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = problem.as_response().as_json()
    return JSONResponse(body, status_code=problem.status, headers=headers)
