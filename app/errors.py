"""The errors of the house.

* AtelierError
  x InvalidRequest   the caller's fault, names the field; never retried
    + PlanError      every fault of a plan at once
    + OutOfBounds    a parameter outside the declared bounds
    + NoRoute        no model version may or can serve the request
    + BadImage       bytes that are not the image they should be
  x BackendError     .backend .request_id .retryable
    + RateLimited(.retry_after) + BackendTimeout + BackendUnavailable + BackendRejected
  x EngineError      + NotFinite + OutOfMemory + OutOfCapacity + Cancelled
  x StoreError       + BlobNotFound + DigestMismatch + KeyConflict
  x CatalogError     + AssetNotFound + PromotionRefused
  x RegistryError    + ModelNotFound

A message names the thing, the value and the remedy. Foreign exceptions are translated at
the border with `raise ... from exc`.
"""

from dataclasses import dataclass


class AtelierError(Exception):
    """The root: catch it at the doors, never in the rooms."""


class InvalidRequest(AtelierError):
    """The caller's fault; the same request will fail again."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a plan: where it stands, what was written there, what to do."""

    file: str
    line: int
    field: str
    value: str
    message: str
    remedy: str

    def __str__(self) -> str:
        """The fault on one line, as editors and compilers write it."""
        return (
            f"{self.file}:{self.line}: {self.field}: {self.message} ({self.value}); {self.remedy}"
        )


class PlanError(InvalidRequest):
    """Every fault of a plan at once, in the order of the file."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class OutOfBounds(InvalidRequest):
    """A parameter outside the bounds its plan or model version declares."""


class NoRoute(InvalidRequest):
    """No model version may or can serve the request."""


class BadImage(InvalidRequest):
    """The bytes are not the one whole image they should be."""


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
    """It was asked too often; `retry_after` is how many seconds it wants to be left alone."""

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
    """It did not answer by the deadline; whether it did the work is not known."""


class BackendUnavailable(BackendError):
    """It cannot be reached, broke down, or went away in the middle of its answer."""


class BackendRejected(BackendError):
    """It refused the request, the request may not be sent there, or its answer is not one."""


class EngineError(AtelierError):
    """The step engine could not finish a request."""


class NotFinite(EngineError):
    """A request's latents became NaN or infinite; its neighbours are untouched."""


class OutOfMemory(EngineError):
    """The device has no room for so many rows, or, in the end, for this request at all."""


class OutOfCapacity(EngineError):
    """The engine holds as many requests as it may; the same call may be made again later."""


class Cancelled(EngineError):
    """Whoever asked for the request no longer wants it."""


class StoreError(AtelierError):
    """The blob store could not keep its promise."""


class BlobNotFound(StoreError):
    """No blob stands under the digest."""


class DigestMismatch(StoreError):
    """The bytes under a digest are not the bytes it names: bit rot or tampering."""


class KeyConflict(StoreError):
    """Two different byte strings were offered for one key: an alarm, never an overwrite."""


class CatalogError(AtelierError):
    """The catalog could not answer."""


class AssetNotFound(CatalogError):
    """No asset has the name, or none of its versions is the one asked for."""


class PromotionRefused(CatalogError):
    """The gate's rows do not hold, or the pointer is no longer where it was read."""


class RegistryError(AtelierError):
    """The model registry could not answer."""


class ModelNotFound(RegistryError):
    """No model stands under the reference."""
