"""Heartbeat: renews leases while work progresses and kills a process that is stuck."""

import os
import signal
from collections.abc import Sequence
from threading import Event, Thread
from time import monotonic
from types import TracebackType

from app.errors import CatalogError
from app.store.publish import Store, renew


class Heartbeat:
    """Renews an owner's leases three times per lease period, in a thread.

    When `beat` was not called for `stuck_seconds`, the process kills itself with SIGKILL: native
    code that hangs cannot be interrupted otherwise. Its attempts were counted before the work
    began, so the next worker sees them. If the catalog cannot be reached, the leases just expire.
    """

    def __init__(
        self,
        store: Store,
        keys: Sequence[str],
        *,
        owner: str,
        lease_seconds: float,
        stuck_seconds: float | None,
    ) -> None:
        self._store, self._keys, self._owner = store, keys, owner
        self._lease_seconds, self._stuck_seconds = lease_seconds, stuck_seconds
        self._moved = monotonic()
        self._over = Event()
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True)

    def beat(self) -> None:
        """Records that work has progressed."""
        self._moved = monotonic()

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        renewed = monotonic()
        while not self._over.wait(self._pause):
            if self._stuck_seconds and monotonic() - self._moved > self._stuck_seconds:
                os.kill(os.getpid(), signal.SIGKILL)
            if monotonic() - renewed >= self._lease_seconds / 3:
                self._renew()
                renewed = monotonic()

    @property
    def _pause(self) -> float:
        often = self._lease_seconds / 3
        return min(often, self._stuck_seconds / 4) if self._stuck_seconds else often

    def _renew(self) -> None:
        try:
            renew(self._store, self._keys, owner=self._owner, seconds=self._lease_seconds)
        except CatalogError:
            return  # the next beat tries again; an expired lease does no harm
