"""The current API keys: their file is re-read while the service runs."""

import logging
from collections.abc import Callable
from math import inf
from pathlib import Path
from time import monotonic

from app.api.keys import KeyOwner, KeyRing, read_keys
from app.errors import InvalidRequest

log = logging.getLogger("ray.serve")

POLL_SECONDS = 1.0
"""The file is checked when a call arrives, at most once in this time."""


class LiveKeys:
    """Starts with the given keys and follows the file that they were read from.

    Once keys are required they stay required, even when the last one is revoked or the file is
    removed; while the file cannot be read, every key is refused. On a machine without that home the
    keys stay as given.
    """

    def __init__(self, ring: KeyRing, *, clock: Callable[[], float] = monotonic) -> None:
        self._ring = ring
        self._clock = clock
        self._checked_at = -inf
        self._state: tuple[int, ...] | None = None

    @property
    def required(self) -> bool:
        """Returns whether callers need a key."""
        return self._now().required

    def owner(self, key: str) -> KeyOwner | None:
        """Returns the owner of a key; None for an unknown or revoked key."""
        return self._now().owner(key)

    def _now(self) -> KeyRing:
        file, now = self._ring.file, self._clock()
        if file is not None and now - self._checked_at >= POLL_SECONDS:
            self._checked_at = now
            self._poll(file)
        return self._ring

    def _poll(self, file: Path) -> None:
        state = _state(file)  # before reading: a change in between is noticed at the next poll
        if (state and state == self._state) or not file.parent.is_dir():
            return
        try:
            ring = read_keys(file.parent)
        except InvalidRequest as exc:
            log.error("all keys are refused: %s", exc)
            state, ring = None, KeyRing(file=file, closed=True)
        self._state = state
        self._ring = ring.replace(closed=ring.closed or self._ring.required)


def _state(file: Path) -> tuple[int, ...] | None:
    """Returns values that change with the file; None when it cannot be read."""
    try:
        status = file.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)
