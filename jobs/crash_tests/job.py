"""A bulk run started as a person does, in a session of its own, with every process it started."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import psutil

from app.errors import BackendError

PATIENCE_SECONDS = 900.0
"""A run that has not ended by itself for this long counts as one that never ends."""
POLL_SECONDS = 0.05


class BulkProcess:
    """One `python -m jobs bulk PLAN`; every process it starts belongs to its session."""

    def __init__(self, plan: Path, environment: Mapping[str, str], *, workers: int = 2) -> None:
        command = [sys.executable, "-m", "jobs", "bulk", str(plan), "--json"]
        self._process = subprocess.Popen(
            [*command, "--workers", str(workers)],
            env=dict(environment), text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        """Returns whether the driver is alive."""
        return self._process.poll() is None

    def kill_driver(self) -> None:
        """Kills only the driver with SIGKILL; its workers are not notified."""
        self._process.kill()
        self._process.communicate()

    def end(self) -> tuple[int | None, str]:
        """Waits for the driver; returns its exit code, None when it never ended, and its output."""
        try:
            output, _ = self._process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill_driver()
            return None, ""
        return self._process.returncode, output

    def members(self) -> list[psutil.Process]:
        """Returns every living process of the session."""
        return [process for process in psutil.process_iter() if _session(process.pid) == self.pid]

    def workers(self, *stages: str) -> list[psutil.Process]:
        """Returns the Ray workers of these stages, or of all."""
        running = []
        for member in self.members():
            with suppress(psutil.Error):
                title = " ".join(member.cmdline())
                if "MapWorker" in title and (not stages or any(s in title for s in stages)):
                    running.append(member)
        return running

    def clear(self) -> None:
        """Kills what is left of the session and waits until it is gone."""
        started = monotonic()
        while (left := self.members()) and monotonic() - started < PATIENCE_SECONDS:
            for process in left:
                kill(process)
            sleep(POLL_SECONDS)
        if left:
            raise BackendError(
                f"processes {[process.pid for process in left]} do not die", backend="ray"
            )


@contextmanager
def ending_all(jobs: list[BulkProcess]) -> Iterator[None]:
    """Ensures that no process of these jobs is left at the end, whatever happened."""
    try:
        yield
    finally:
        for job in jobs:
            if job.running:
                job.kill_driver()
            job.clear()


def kill(process: psutil.Process) -> bool:
    """Sends SIGKILL; returns whether the process still existed."""
    with suppress(psutil.Error):
        process.send_signal(signal.SIGKILL)
        return True
    return False


def _session(pid: int) -> int:
    with suppress(ProcessLookupError, PermissionError):
        return os.getsid(pid)
    return -1
