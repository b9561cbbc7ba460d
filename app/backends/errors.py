"""Translates a service's error answers into our errors.

Only the error code of an answer is kept: its text may repeat the prompt or the key.
"""

import re
from collections.abc import Mapping

from pydantic import BaseModel, ValidationError

from app.backends.retry import retry_after
from app.errors import (
    BackendError,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    RateLimited,
)
from app.types import GenerationRequest

_CODE = re.compile(r"[a-z0-9_.-]{1,60}")


class _Problem(BaseModel):
    code: str | None = None
    type: str | None = None


class _Answer(BaseModel):
    error: _Problem


def error_from_status(
    status: int,
    headers: Mapping[str, str],
    data: bytes,
    *,
    host: str,
    request: GenerationRequest,
    keyed: bool,
    key_setting: str,
) -> BackendError:
    """Returns the error for a status other than 200; `keyed` says whether a key was sent."""
    code = f"{status} {_code(data)}".strip()
    wait = retry_after(headers.get("retry-after"))
    if status == 429 or (status in (409, 503) and wait is not None):
        return _rate_limited(host, request, code, wait)
    if status >= 500 or status in (408, 425):
        return unavailable_error(host, request, f"failed ({code})")
    if 300 <= status < 400:
        what = f"it redirects ({code}), and redirects are not followed; register its current URL"
    elif status in (401, 403):
        sent = "it rejects its key" if keyed else "it requires a key, and none is set"
        what = f"{sent} ({code}); set {key_setting}"
    else:
        what = (
            f"it refuses the request ({code}); change the prompt, or register the version as its "
            "provider describes it"
        )
    return rejected_error(host, request, what)


def unavailable_error(host: str, request: GenerationRequest, what: str) -> BackendUnavailable:
    """Returns a retryable error; repeat the call under the same idempotency key."""
    return BackendUnavailable(
        f"{host} {what}; check the service, then run the same command again",
        backend=host,
        request_id=request.id,
        retryable=True,
    )


def timeout_error(host: str, request: GenerationRequest, seconds: float) -> BackendTimeout:
    """Returns a retryable error; whether the service did the work is not known."""
    return BackendTimeout(
        f"{host} did not answer within {seconds:g} s; check the service, or raise "
        "ATELIER_HOSTED_TIMEOUT_SECONDS",
        backend=host,
        request_id=request.id,
        retryable=True,
    )


def rejected_error(
    host: str, request: GenerationRequest, what: str, *, retryable: bool = False
) -> BackendRejected:
    """Returns the error for a request that either side refused."""
    return BackendRejected(
        f"{host}: {what}", backend=host, request_id=request.id, retryable=retryable
    )


def _rate_limited(
    host: str, request: GenerationRequest, code: str, wait: float | None
) -> RateLimited:
    hint = "" if wait is None else f" and asks for a pause of {wait:g} s"
    return RateLimited(
        f"{host} refuses more requests for now ({code}){hint}; run the same command again later",
        backend=host,
        request_id=request.id,
        retry_after=wait,
    )


def _code(data: bytes) -> str:
    try:
        error = _Answer.model_validate_json(data).error
    except ValidationError:
        return ""  # proxies may answer in HTML; the status is enough
    code = error.code or error.type or ""
    return code if _CODE.fullmatch(code) else ""
