"""Fault injection: named points at which a process kills itself, for tests that kill it anywhere.

`ATELIER_FAULT=blob.linked:2` ends this process with SIGKILL when it passes that point for the
second time; several are separated by commas. Without it a point costs one dictionary look-up.
"""

import os
import signal
from collections.abc import Iterator
from functools import cache
from itertools import count

from app.errors import StoreError

POINTS = (
    "lease.begin",
    "lease.counted",
    "lease.claimed",
    "blob.begin",
    "blob.written",
    "blob.synced",
    "blob.linked",
    "blob.cleared",
    "blob.settled",
    "blob.sent",
    "blob.verified",
    "publish.begin",
    "publish.kept",
    "publish.written",
    "publish.committed",
)
"""In the order of one publish; `blob.sent` and `blob.verified` belong to object stores only."""


def fault_point(point: str) -> None:
    """Marks this point; kills the process here when the environment says so."""
    armed = _configured_fault().get(point)
    if armed is not None and next(armed[0]) == armed[1]:
        os.kill(os.getpid(), signal.SIGKILL)


@cache
def _configured_fault() -> dict[str, tuple[Iterator[int], int]]:
    text = os.environ.get("ATELIER_FAULT", "")
    named = [setting.partition(":") for setting in text.split(",") if setting]
    for point, _, number in named:
        if point not in POINTS or not number.isdecimal():
            raise StoreError(
                f"ATELIER_FAULT={text!r} names no fault point; give one of {', '.join(POINTS)} "
                "and the number of the passing, as in blob.linked:2, or unset it"
            )
    return {point: (count(1), int(number)) for point, _, number in named}
