"""Limits: images per minute and at once for each caller, and bulk calls at once for the router.

They are counted in one router's memory, like idempotency keys: a new router starts from zero.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from time import monotonic

from app.api.keys import KeyOwner
from app.api.responses import Problem
from deployments.calls.idempotency import CallRefused

MINUTE = 60.0
AT_ONCE_SECONDS = 1
"""`Retry-After` for too many images in flight: it is not known when the next one ends."""
ROUNDING = 1e-9
"""In images: tolerance for the rounding of summed times."""


@dataclass(slots=True)
class _Bucket:
    """The images an owner has left as of `counted_at`, and its images in flight."""

    images: float
    counted_at: float
    in_flight: int = 0


class RateLimiter:
    """Enforces the limits of each caller's key with a token bucket.

    A bucket holds at most `images_per_minute` images and refills evenly within a minute. So a
    minute allows at most twice the limit (a full bucket and its refill), and a longer time the
    limit on average. Callers without limits are not counted; full buckets are dropped.
    """

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._buckets: dict[KeyOwner, _Bucket] = {}

    @property
    def held(self) -> int:
        """Returns the number of callers that have a bucket."""
        return len(self._buckets)

    @contextmanager
    def claim(self, owner: KeyOwner, images: int) -> Iterator[None]:
        """Counts this many images as used, and as in flight while the context is open.

        Raises CallRefused without charging: 422 `over_limit` for more images than the limit can
        ever allow, 429 `too_many_at_once` or `rate_limit_exceeded` with the seconds to wait. A
        CallRefused raised inside refunds the images; a caller that disconnects is still charged.
        """
        if owner.images_per_minute is None and owner.images_at_once is None:
            yield
            return
        _check_size(owner, images)
        bucket = self._refilled_bucket(owner)
        _check_room(owner, bucket, images)
        charged = images if owner.images_per_minute else 0
        bucket.images -= charged
        bucket.in_flight += images
        try:
            yield
        except CallRefused:
            bucket.images += charged
            raise
        finally:
            bucket.in_flight -= images

    def _refilled_bucket(self, owner: KeyOwner) -> _Bucket:
        """Returns the owner's bucket, refilled until now; drops full buckets without images."""
        now = self._clock()
        for other, bucket in list(self._buckets.items()):
            _refill(other, bucket, now)
            if not bucket.in_flight and bucket.images >= _capacity(other):
                del self._buckets[other]
        return self._buckets.setdefault(owner, _Bucket(_capacity(owner), now))


class BulkLimiter:
    """Allows at most `max_calls` bulk calls at once, so that interactive calls find capacity."""

    def __init__(self, max_calls: int, *, retry_after_seconds: int) -> None:
        self._max_calls = max_calls
        self._retry_after_seconds = retry_after_seconds
        self._calls = 0

    @contextmanager
    def claim(self, *, bulk: bool) -> Iterator[None]:
        """Counts a bulk call while the context is open; raises CallRefused 429 `queue_full`."""
        if bulk and self._calls >= self._max_calls:
            message = f"{self._calls} bulk calls are running"
            raise _rate_limited("queue_full", message, self._retry_after_seconds)
        self._calls += bulk
        try:
            yield
        finally:
            self._calls -= bulk


def _refill(owner: KeyOwner, bucket: _Bucket, now: float) -> None:
    refill = (now - bucket.counted_at) * _capacity(owner) / MINUTE
    bucket.images = min(_capacity(owner), bucket.images + refill)
    bucket.counted_at = now


def _capacity(owner: KeyOwner) -> float:
    return owner.images_per_minute or 0.0


def _check_size(owner: KeyOwner, images: int) -> None:
    limits = {"a minute": owner.images_per_minute, "at once": owner.images_at_once}
    for period, limit in limits.items():
        if limit is not None and images > limit:
            raise CallRefused(
                Problem(
                    status=422,
                    code="over_limit",
                    param="n",
                    message=f"n {images} is more than the {limit} images {period} that the key "
                    f"{owner.name} allows; request fewer",
                )
            )


def _check_room(owner: KeyOwner, bucket: _Bucket, images: int) -> None:
    limit = owner.images_at_once
    if limit is not None and bucket.in_flight + images > limit:
        message = (
            f"the key {owner.name} allows {limit} images at once, {bucket.in_flight} are running"
        )
        raise _rate_limited("too_many_at_once", message, AT_ONCE_SECONDS)
    rate = owner.images_per_minute
    missing = images - bucket.images
    if rate is not None and missing > ROUNDING:
        message = f"the key {owner.name} allows {rate} images a minute, which are used up"
        raise _rate_limited("rate_limit_exceeded", message, ceil(missing * MINUTE / rate))


def _rate_limited(code: str, message: str, seconds: int) -> CallRefused:
    return CallRefused(
        Problem(
            status=429,
            code=code,
            message=f"{message}; retry in {seconds} s",
            retry_after_seconds=seconds,
        )
    )
