"""The current keys of a home: their file is followed while the service runs."""

import logging
from collections.abc import Callable
from math import inf
from pathlib import Path
from time import monotonic

from app.api.keys import KeyOwner, KeyRing, read_keys
from app.errors import InvalidRequest

log = logging.getLogger("ray.serve")

POLL_SECONDS = 1.0
"""The file is checked when a call arrives, and at most this often."""


class LiveKeys:
    """Starts with the keys it is given and follows the file that they were read from.

    It only ever becomes stricter by itself: once keys are required they stay required, even when
    the last is revoked or the file is gone, and a file that cannot be read admits nobody. On a
    machine without such a home the keys stay as they were given.
    """

    def __init__(self, ring: KeyRing, *, clock: Callable[[], float] = monotonic) -> None:
        self._ring = ring
        self._clock = clock
        self._looked_at = -inf
        self._seen: tuple[int, ...] | None = None

    @property
    def required(self) -> bool:
        """Returns whether callers need a key."""
        return self._now().required

    def owner(self, key: str) -> KeyOwner | None:
        """Returns the owner of a key; None when it belongs to nobody, or was revoked."""
        return self._now().owner(key)

    def _now(self) -> KeyRing:
        file, now = self._ring.file, self._clock()
        if file is not None and now - self._looked_at >= POLL_SECONDS:
            self._looked_at = now
            self._poll(file)
        return self._ring

    def _poll(self, file: Path) -> None:
        state = _state(file)  # before it is read, so that a change meanwhile is seen next time
        if (state and state == self._seen) or not file.parent.is_dir():
            return
        try:
            ring = read_keys(file.parent)
        except InvalidRequest as torn:
            log.error("nobody is let in: %s", torn)
            state, ring = None, KeyRing(file=file, closed=True)
        self._seen = state
        self._ring = ring.replace(closed=ring.closed or self._ring.required)


def _state(file: Path) -> tuple[int, ...] | None:
    """Returns values that change when the file is written; None when it cannot be read."""
    try:
        status = file.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)
