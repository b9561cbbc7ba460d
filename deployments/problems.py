"""Errors as callers see them: each becomes a status, a fixed code and a fixed sentence."""

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
"""Their messages are written for callers; those of all other errors stay in the log."""
FAILED = Problem(
    status=500, code="internal_error", message="something broke here; ask again, and report it"
)


def problem_of(error: Exception) -> Problem:
    """Returns the problem a caller is shown for an error; anything private goes to the log only."""
    if isinstance(error, CallRefused):
        return error.problem
    for kind, status, code in CODES:
        if isinstance(error, kind):
            return Problem(status=status, code=code, message=str(error))
    log.exception("a call failed", exc_info=error)
    return FAILED


def problem_of_http(error: HTTPException) -> Problem:
    """Returns the problem of an unknown path, a wrong method, or a body that is not text."""
    if error.status_code == 400:
        return Problem(status=400, code="invalid_body", message="the body is no JSON in UTF-8")
    code = {404: "unknown_url", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return Problem(status=error.status_code, code=code, message=f"{error.detail}; GET / names all")


def problem_of_fields(errors: Sequence[Any]) -> Problem:
    """Returns the problem of the first wrong field, without repeating its value."""
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
