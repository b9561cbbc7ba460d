"""Idempotency keys of one router: same key and body, same answer; kept in memory, within bounds.

It is one router's memory: with several routers a repeated call may reach one that does not know
it. The draft IETF standard `Idempotency-Key` (httpapi-idempotency-key-header-07) gives the codes.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.api.responses import CallResult, Problem
from app.errors import AtelierError


class CallRefused(AtelierError):
    """A call that comes to nothing, and what its caller is told."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class CallKey:
    """Whose key it is, the key, and the digest of the door and the body it came with."""

    owner: str
    key: str
    fingerprint: str


@dataclass(slots=True)
class _Entry:
    fingerprint: str
    made: CallResult | None = None


class IdempotencyCache:
    """What keyed calls came to: at most `answers` of at most `max_bytes`, the oldest leave first.

    Calls under way never leave. A call that came to nothing is forgotten, so that it may be
    made again.
    """

    def __init__(self, *, max_answers: int, max_bytes: int) -> None:
        self._answers = max_answers
        self._max_bytes = max_bytes
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()

    @contextmanager
    def claim(self, call: CallKey | None) -> Iterator["Claim"]:
        """The right to make what a key stands for, or what was made already.

        Raises NotAnswered: 422 for a key that came with another body, 409 while the first call
        is under way.
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
        """Answers kept."""
        return len(self._made)

    @property
    def held_bytes(self) -> int:
        """What the files of the answers kept take."""
        return sum(made.bytes for made in self._made.values())

    @property
    def _made(self) -> dict[tuple[str, str], CallResult]:
        return {place: entry.made for place, entry in self._entries.items() if entry.made}

    def _shrink(self) -> None:
        while self.held > self._answers or self.held_bytes > self._max_bytes:
            del self._entries[next(iter(self._made))]


class Claim:
    """A call's place in the ledger; `made` is there when it was answered before."""

    def __init__(self, entry: _Entry) -> None:
        self._entry = entry

    @property
    def made(self) -> CallResult | None:
        """What the same call came to."""
        return self._entry.made

    def keep(self, made: CallResult) -> None:
        """Answer the same call with this from now on."""
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
