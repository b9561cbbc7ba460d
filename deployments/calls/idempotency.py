"""Idempotency keys of one router: same key and body, same answer; kept in memory, within bounds.

The cache belongs to one router: with several routers a repeated call may reach one that does not
know it. The draft IETF standard `Idempotency-Key` (httpapi-idempotency-key-header-07) gives the
codes.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.api.responses import CallResult, Problem
from app.errors import AtelierError


class CallRefused(AtelierError):
    """A call that is refused, with the problem its caller is shown."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class CallKey:
    """The key's owner, the key, and the digest of the path and body it came with."""

    owner: str
    key: str
    fingerprint: str


@dataclass(slots=True)
class _Entry:
    fingerprint: str
    made: CallResult | None = None


class IdempotencyCache:
    """The results of keyed calls: at most `max_answers` of `max_bytes`, the oldest dropped first.

    Calls in flight are never dropped. A call without a result is forgotten, so that it may be made
    again.
    """

    def __init__(self, *, max_answers: int, max_bytes: int) -> None:
        self._answers = max_answers
        self._max_bytes = max_bytes
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()

    @contextmanager
    def claim(self, call: CallKey | None) -> Iterator["Claim"]:
        """Yields a claim: the right to answer the key's call, or the result it already has.

        Raises CallRefused: 422 for a key that came with another body before, 409 while the first
        call is in flight.
        """
        if call is None:
            yield Claim(_Entry(""))
            return
        place = (call.owner, call.key)
        entry = self._entry(place, call.fingerprint)
        try:
            yield Claim(entry)
        finally:
            if entry.made is None:
                del self._entries[place]
            self._shrink()

    def _entry(self, place: tuple[str, str], fingerprint: str) -> _Entry:
        entry = self._entries.get(place)
        if entry is None:
            entry = self._entries[place] = _Entry(fingerprint)
            return entry
        if entry.fingerprint != fingerprint:
            raise CallRefused(_reused(place[1]))
        if entry.made is None:
            raise CallRefused(_under_way(place[1]))
        self._entries.move_to_end(place)
        return entry

    @property
    def held(self) -> int:
        """Returns the number of results kept."""
        return len(self._made)

    @property
    def held_bytes(self) -> int:
        """Returns the bytes of the images kept."""
        return sum(made.bytes for made in self._made.values())

    @property
    def _made(self) -> dict[tuple[str, str], CallResult]:
        return {place: entry.made for place, entry in self._entries.items() if entry.made}

    def _shrink(self) -> None:
        while self.held > self._answers or self.held_bytes > self._max_bytes:
            del self._entries[next(iter(self._made))]


class Claim:
    """A call's entry in the cache; `made` is set when it was answered before."""

    def __init__(self, entry: _Entry) -> None:
        self._entry = entry

    @property
    def made(self) -> CallResult | None:
        """Returns the result of the same call, or None."""
        return self._entry.made

    def keep(self, made: CallResult) -> None:
        """Stores the result: the same call is answered with it from now on."""
        self._entry.made = made


def _reused(key: str) -> Problem:
    return Problem(
        status=422,
        code="idempotency_key_reused",
        param="Idempotency-Key",
        message=f"the key {key!r} came with another body before; give every call a key of its own",
    )


def _under_way(key: str) -> Problem:
    return Problem(
        status=409,
        code="idempotency_key_in_use",
        param="Idempotency-Key",
        message=f"the first call with the key {key!r} is under way; ask again when it has ended",
        retry_after_seconds=1,
    )
