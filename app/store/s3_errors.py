"""What goes wrong with an object store: which of it passes, and how to say the rest.

boto3's exceptions are known here by what they carry, because boto3 may not be installed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import BlobNotFound, StoreError

_PASSING_STATUS = (408, 409, 429, 500, 502, 503, 504)
"""409 is ConditionalRequestConflict: two conditional writes met; S3 asks to try again."""
_PASSING_CODES = ("BadDigest", "XAmzContentSHA256Mismatch", "RequestTimeout", "IncompleteBody")
"""400s that say that the body was damaged or cut on its way."""


class Unsettled(Exception):
    """An object is not what was just put: damaged on its way, or swept away meanwhile."""


def status_of(exc: BaseException) -> int:
    """The HTTP status a server answered with, 0 when it did not answer."""
    answer = getattr(exc, "response", None) or {}
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def in_passing(exc: Exception) -> bool:
    """Whether the same call may well succeed in a moment."""
    from botocore.exceptions import (
        ClientError,
        ConnectionError,
        HTTPClientError,
        IncompleteReadError,
    )

    if isinstance(exc, ClientError):
        return status_of(exc) in _PASSING_STATUS or _code(exc) in _PASSING_CODES
    return isinstance(exc, ConnectionError | HTTPClientError | IncompleteReadError | Unsettled)


@contextmanager
def explained(address: str) -> Iterator[None]:
    """Turn whatever boto3 raises into a StoreError that names the object and the remedy."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, Unsettled) as exc:
        if status_of(exc) == 404 and _code(exc) != "NoSuchBucket":
            raise BlobNotFound(
                f"no blob {address}; make the asset again or restore a backup"
            ) from exc
        raise StoreError(f"the blob store failed at {address}: {_cause(exc)}") from exc


def _cause(exc: Exception) -> str:
    status, code = status_of(exc), _code(exc)
    if isinstance(exc, Unsettled):
        return (
            "the object is damaged or gone every time; look for a faulty proxy, or sweep less often"
        )
    if code == "NoSuchBucket":
        return "there is no such bucket; create it, it is never created here"
    if status in (401, 403):
        return f"{status} {code}; see that the AWS credentials may read and write this bucket"
    if status:
        return f"the server answers {status} {code}; run the same command again when it is well"
    return (
        f"{type(exc).__name__}; see that AWS_ENDPOINT_URL, AWS_REGION and the AWS credentials "
        "are set and that the server can be reached"
    )


def _code(exc: BaseException) -> str:
    answer = getattr(exc, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))
