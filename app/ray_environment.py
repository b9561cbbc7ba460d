"""Quiet while Ray starts: what its processes read and print; knows nothing else of Ray."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

ENVIRONMENT = {
    "RAY_LOG_MONITOR_MANY_FILES_THRESHOLD": "0",
    "LOG_NAME_UPDATE_INTERVAL_S": "60",  # nobody reads what it would find
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextmanager
def quiet_start() -> Iterator[None]:
    """Set what is not set, and keep stderr to itself unless the start fails.

    What Ray's core says of its own logging is written past Python, so the file is exchanged.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with tempfile.TemporaryFile() as kept:
        stderr = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(stderr, kept.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
