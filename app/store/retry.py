"""Retry: repeats calls that may fail temporarily, a limited number of times with backoff."""

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias, TypeVar

Wait: TypeAlias = Callable[[float], None]
_Result = TypeVar("_Result")
TRIES = 7
_FIRST_SECONDS, _MAX_SECONDS = 0.1, 5.0


def call_with_retries(
    call: Callable[[], _Result],
    *,
    is_transient: Callable[[Exception], bool],
    wait: Wait = time.sleep,
) -> _Result:
    """Returns the call's result; raises its error if not transient or after the last try.

    The call must be safe to repeat, also after it succeeded and only its answer was lost. Pauses
    are random below a bound that doubles, so that many that failed together do not return together
    (AWS Architecture Blog: Exponential Backoff And Jitter, 2015).
    """
    for seconds in _pauses():
        try:
            return call()
        except Exception as exc:
            if not is_transient(exc):
                raise
            wait(seconds)
    return call()


def _pauses() -> Iterator[float]:
    for number in range(TRIES - 1):
        yield random.uniform(0.0, min(_MAX_SECONDS, _FIRST_SECONDS * 2**number))
