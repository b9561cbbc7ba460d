"""The error classes of Atelier.

* AtelierError
  x InvalidRequest   the caller's fault, names the field; never retried
    + PlanError      every fault of a plan at once
    + OutOfBounds    a parameter outside the declared bounds
    + NoRoute        no model version may or can serve the request
    + BadImage       the bytes are not a valid image
  x BackendError     .backend .request_id .retryable
    + RateLimited(.retry_after) + BackendTimeout + BackendUnavailable + BackendRejected
  x EngineError      + NotFinite + OutOfMemory + OutOfCapacity + Cancelled
  x StoreError       + BlobNotFound + DigestMismatch + KeyConflict
  x CatalogError     + AssetNotFound + PromotionRefused
  x RegistryError    + ModelNotFound

A message names the thing, the value and the remedy. Foreign exceptions are translated with
`raise ... from exc` where the foreign call is made.
"""

from dataclasses import dataclass


class AtelierError(Exception):
    """The base class of all errors here; catch it only at entry points (CLI, HTTP, jobs)."""


class InvalidRequest(AtelierError):
    """The caller's fault; the same request will fail again."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a plan: its place, the value written there, the problem, the remedy."""

    file: str
    line: int
    field: str
    value: str
    message: str
    remedy: str

    def __str__(self) -> str:
        """Returns the fault on one line, in the format of compilers: `file:line: field: ...`."""
        return (
            f"{self.file}:{self.line}: {self.field}: {self.message} ({self.value}); {self.remedy}"
        )


class PlanError(InvalidRequest):
    """Every fault of a plan at once, in file order."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class OutOfBounds(InvalidRequest):
    """A parameter outside the bounds its plan or model version declares."""


class NoRoute(InvalidRequest):
    """No model version may or can serve the request."""


class BadImage(InvalidRequest):
    """The bytes are not one complete, valid image."""


class BackendError(AtelierError):
    """A backend did not deliver; `retryable` says whether the same call may be made again."""

    def __init__(
        self, message: str, *, backend: str, request_id: str = "", retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.backend = backend
        self.request_id = request_id
        self.retryable = retryable


class RateLimited(BackendError):
    """The backend's rate limit was reached; `retry_after` is the wait in seconds, if given."""

    def __init__(
        self,
        message: str,
        *,
        backend: str,
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, backend=backend, request_id=request_id, retryable=True)
        self.retry_after = retry_after


class BackendTimeout(BackendError):
    """The backend did not answer by the deadline; whether it did the work is not known."""


class BackendUnavailable(BackendError):
    """The backend cannot be reached, failed, or closed the connection during its answer."""


class BackendRejected(BackendError):
    """The backend refused the request, may not receive it, or gave an invalid answer."""


class EngineError(AtelierError):
    """The step engine could not finish a request."""


class NotFinite(EngineError):
    """A request's latents became NaN or infinite; other requests in the batch are not affected."""


class OutOfMemory(EngineError):
    """The device has no memory for this many rows or, at the smallest batch, for this request."""


class OutOfCapacity(EngineError):
    """The engine already holds its maximum of requests; the same call may be made again later."""


class Cancelled(EngineError):
    """The caller cancelled the request."""


class StoreError(AtelierError):
    """The blob store failed or found inconsistent data."""


class BlobNotFound(StoreError):
    """No blob is stored under the digest."""


class DigestMismatch(StoreError):
    """The bytes stored under a digest have another digest: bit rot or tampering."""


class KeyConflict(StoreError):
    """Two different byte strings were offered for one key; nothing is overwritten."""


class CatalogError(AtelierError):
    """The catalog could not answer."""


class AssetNotFound(CatalogError):
    """No asset has the name, or none of its versions is the requested one."""


class PromotionRefused(CatalogError):
    """The promotion gate failed, or the pointer moved after it was read."""


class RegistryError(AtelierError):
    """The model registry could not answer."""


class ModelNotFound(RegistryError):
    """No model is registered under the reference, or its files are missing or unusable."""
