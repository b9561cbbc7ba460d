"""Idempotency keys: a repeated call with the same key and body gets the stored result.

The cache is in one router's memory: another router would not know the key. The status codes are
those of the draft IETF standard `Idempotency-Key` (httpapi-idempotency-key-header-07).
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.api.responses import CallResult, Problem
from app.errors import AtelierError


class CallRefused(AtelierError):
    """A refused call, with the problem that its caller gets."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class CallKey:
    """An idempotency key, its owner, and the digest of the path and body it was sent with."""

    owner: str
    key: str
    fingerprint: str


@dataclass(slots=True)
class Claim:
    """A key's entry in the cache; the call that sets `result` answers all its repetitions."""

    fingerprint: str
    result: CallResult | None = None


class IdempotencyCache:
    """The results of calls with a key, at most `max_answers` and `max_bytes`.

    The least recently used are dropped first, calls in flight never. A call that ends without a
    result is dropped at once, so that it can be repeated.
    """

    def __init__(self, *, max_answers: int, max_bytes: int) -> None:
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._claims: OrderedDict[tuple[str, str], Claim] = OrderedDict()

    @contextmanager
    def claim(self, call: CallKey | None) -> Iterator[Claim]:
        """Yields the claim to the call's key; its result is set if the call was answered before.

        Raises CallRefused: 422 for a key that was used with another body, 409 while the first call
        is in flight.
        """
        if call is None:
            yield Claim("")
            return
        owner_and_key = (call.owner, call.key)
        claim = self._claim(owner_and_key, call.fingerprint)
        try:
            yield claim
        finally:
            if claim.result is None:
                del self._claims[owner_and_key]
            self._shrink()

    def _claim(self, owner_and_key: tuple[str, str], fingerprint: str) -> Claim:
        claim = self._claims.get(owner_and_key)
        if claim is None:
            claim = self._claims[owner_and_key] = Claim(fingerprint)
            return claim
        if claim.fingerprint != fingerprint:
            raise CallRefused(_reused(owner_and_key[1]))
        if claim.result is None:
            raise CallRefused(_in_use(owner_and_key[1]))
        self._claims.move_to_end(owner_and_key)
        return claim

    @property
    def held(self) -> int:
        """Returns the number of stored results."""
        return len(self._results)

    @property
    def held_bytes(self) -> int:
        """Returns the size of the stored images in bytes."""
        return sum(result.bytes for result in self._results.values())

    @property
    def _results(self) -> dict[tuple[str, str], CallResult]:
        return {key: claim.result for key, claim in self._claims.items() if claim.result}

    def _shrink(self) -> None:
        while self.held > self._max_answers or self.held_bytes > self._max_bytes:
            del self._claims[next(iter(self._results))]


def _reused(key: str) -> Problem:
    return Problem(
        status=422,
        code="idempotency_key_reused",
        param="Idempotency-Key",
        message=f"the key {key!r} was used with another body; use a new key for every call",
    )


def _in_use(key: str) -> Problem:
    return Problem(
        status=409,
        code="idempotency_key_in_use",
        param="Idempotency-Key",
        message=f"the first call with the key {key!r} is still running; retry when it has finished",
        retry_after_seconds=1,
    )
