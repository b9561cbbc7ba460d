"""Environment variables and a stderr redirection that keep Ray's start quiet."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

ENVIRONMENT = {
    "RAY_LOG_MONITOR_MANY_FILES_THRESHOLD": "0",
    "LOG_NAME_UPDATE_INTERVAL_S": "60",  # its result is not used
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextmanager
def quiet_start() -> Iterator[None]:
    """Sets Ray's variables where unset, and hides stderr unless the start fails.

    Ray's core writes its own log lines past Python's `sys.stderr`, so the file descriptor is
    replaced.
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
