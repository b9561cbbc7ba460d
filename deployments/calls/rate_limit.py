"""How much each caller may ask for: images per minute and images at once; one limiter per router.

It is one router's memory, like the idempotency cache: a new router has charged nobody yet.
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
"""The wait told to a caller with too many images in flight; when one ends is not known."""
ROUNDING = 1e-9
"""In images: the most by which times added up as floats may fall short."""


@dataclass(slots=True)
class _Bucket:
    """What an owner has left, as of `counted_at`, and has in flight."""

    images: float
    counted_at: float
    at_once: int = 0


class RateLimiter:
    """Keeps callers to the limits of their keys; unused images are kept for one minute.

    A bucket of `images_per_minute` images fills evenly within a minute: no minute sees more than
    the bucket and what flows in, twice the limit, and a longer time sees no more than the limit on
    average. Callers without limits are not counted; a caller whose bucket is full is forgotten.
    """

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._buckets: dict[KeyOwner, _Bucket] = {}

    @property
    def held(self) -> int:
        """Returns the number of callers that are counted now."""
        return len(self._buckets)

    @contextmanager
    def claim(self, owner: KeyOwner, images: int) -> Iterator[None]:
        """Holds the right to render this many images while the context is open.

        Raises CallRefused, and charges nothing: 422 `over_limit` for more than the caller could
        ever have, 429 `too_many_at_once` or `rate_limit_exceeded` with the seconds to wait. A
        CallRefused raised inside gives the images back; a caller who goes away is still charged.
        """
        if owner.images_per_minute is None and owner.images_at_once is None:
            yield
            return
        _check_size(owner, images)
        bucket = self._refilled_bucket(owner)
        _check_room(owner, bucket, images)
        charged = images if owner.images_per_minute else 0
        bucket.images -= charged
        bucket.at_once += images
        try:
            yield
        except CallRefused:
            bucket.images += charged
            raise
        finally:
            bucket.at_once -= images

    def _refilled_bucket(self, owner: KeyOwner) -> _Bucket:
        """Returns the owner's bucket as of now; drops the buckets that are full and unused."""
        now = self._clock()
        for name, bucket in list(self._buckets.items()):
            _refill(name, bucket, now)
            if not bucket.at_once and bucket.images >= _capacity(name):
                del self._buckets[name]
        return self._buckets.setdefault(owner, _Bucket(_capacity(owner), now))


def _refill(owner: KeyOwner, bucket: _Bucket, now: float) -> None:
    grown = (now - bucket.counted_at) * _capacity(owner) / MINUTE
    bucket.images = min(_capacity(owner), bucket.images + grown)
    bucket.counted_at = now


def _capacity(owner: KeyOwner) -> float:
    return owner.images_per_minute or 0.0


def _check_size(owner: KeyOwner, images: int) -> None:
    limits = {"a minute": owner.images_per_minute, "at once": owner.images_at_once}
    for words, most in limits.items():
        if most is not None and images > most:
            raise CallRefused(
                Problem(
                    status=422,
                    code="over_limit",
                    param="n",
                    message=f"n {images} is more than the {most} images {words} that "
                    f"{owner.name} may ask for; ask for fewer",
                )
            )


def _check_room(owner: KeyOwner, bucket: _Bucket, images: int) -> None:
    most = owner.images_at_once
    if most is not None and bucket.at_once + images > most:
        message = f"{owner.name} may have {most} images under way and has {bucket.at_once}"
        raise _rate_limited("too_many_at_once", message, AT_ONCE_SECONDS)
    rate = owner.images_per_minute
    missing = images - bucket.images
    if rate is not None and missing > ROUNDING:
        message = f"{owner.name} may ask for {rate} images a minute and has asked for them"
        raise _rate_limited("rate_limit_exceeded", message, ceil(missing * MINUTE / rate))


def _rate_limited(code: str, message: str, seconds: int) -> CallRefused:
    return CallRefused(
        Problem(
            status=429,
            code=code,
            message=f"{message}; ask again in {seconds} s",
            retry_after_seconds=seconds,
        )
    )
