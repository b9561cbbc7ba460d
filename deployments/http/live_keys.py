"""The keys of a home as they are now: their file is followed while the service runs."""

import logging
from collections.abc import Callable
from math import inf
from pathlib import Path
from time import monotonic

from app.api.keys import KeyOwner, KeyRing, read_keys
from app.errors import InvalidRequest

log = logging.getLogger("ray.serve")

POLL_SECONDS = 1.0
"""The file is looked at when somebody knocks, and at most so often."""


class LiveKeys:
    """Begins with the keys it is given and follows the file that they were read from.

    It only ever tightens by itself: once keys are needed they stay needed, whether the last is
    revoked or the file is gone, and a file that cannot be read opens nothing. On a machine that
    has no such home the keys stay as they were given.
    """

    def __init__(self, ring: KeyRing, *, clock: Callable[[], float] = monotonic) -> None:
        self._ring = ring
        self._clock = clock
        self._looked_at = -inf
        self._seen: tuple[int, ...] | None = None

    @property
    def required(self) -> bool:
        """Whether callers need a key."""
        return self._now().required

    def owner(self, key: str) -> KeyOwner | None:
        """Whose key it is; None when it is nobody's, or not any more."""
        return self._now().owner(key)

    def _now(self) -> KeyRing:
        file, now = self._ring.file, self._clock()
        if file is not None and now - self._looked_at >= POLL_SECONDS:
            self._looked_at = now
            self._poll(file)
        return self._ring

    def _poll(self, file: Path) -> None:
        state = _state(file)  # before it is read, so that what changes meanwhile is seen next time
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
    """What differs once the file was written again; None while there is none to be seen."""
    try:
        status = file.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)
