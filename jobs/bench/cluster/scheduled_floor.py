"""Scheduled minimum: machines that start before a window begins, and stop after its end.

There is no work at all. Ray's autoscaler starts processes where a cloud would start machines, so a
machine's own start adds to the times: a window's lead allows for it.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import sleep, time

from app.cli.output import Say
from app.errors import BackendError
from app.types import Value
from jobs.bench.cluster.elastic import LABELS, SLOT, elastic_cluster, gpu_machines
from jobs.bench.cluster.machines import POLL_SECONDS
from jobs.cluster.min_machines import MachineFloors, MachineWindow
from jobs.crash_tests.home import CrashTestHome

MAX_MACHINES = 3
FLOOR = 2
IDLE_SECONDS = 5
HELD_BY = {name: amount / 1000 for name, amount in SLOT.items()}
LEAD_SECONDS = 40
"""The processes that stand for machines start slowly while this machine is busy."""
MINUTE = 60
END_SECONDS = 60.0
TIMEOUT_SECONDS = 300.0


class ScheduledFloor(Value):
    """One window on a cluster that has no machine before it and never any work."""

    floor: int
    """Machines that the window asks for."""
    most: int
    """Machines that the cluster may have."""
    lead_seconds: float
    first_before_seconds: float
    """Between the first machine and the window's begin."""
    all_before_seconds: float
    """Between the last machine that the window asks for and its begin; negative if late."""
    fewest_inside: int
    """The fewest machines at any poll between begin and end."""
    most_machines: int
    gone_after_seconds: float
    """From the window's end to the end of the last machine."""
    idle_seconds: float
    """Part of it: the idle timeout of the autoscaler."""

    @property
    def holds(self) -> bool:
        """Returns whether exactly the requested machines ran from before the begin to the end."""
        return (
            self.all_before_seconds > 0 and self.fewest_inside == self.floor == self.most_machines
        )


def run_scheduled_floor(folder: Path, say: Say) -> ScheduledFloor:
    """Runs `atelier floor` for one window of a minute, which begins a little later."""
    home = CrashTestHome(folder / "h")
    counted: list[tuple[float, int]] = []
    with elastic_cluster(folder / "m", home.environment(), MAX_MACHINES, IDLE_SECONDS) as (
        head,
        joining,
    ):
        window, begin = _next_window(time())
        end = begin + MINUTE
        with _floor_command(window, folder, home.environment(**joining)) as process:

            def poll() -> int:
                counted.append((time(), gpu_machines(head)))
                return counted[-1][1]

            _until(lambda: poll() >= FLOOR or time() > begin, process)
            say(f"{counted[-1][1]} machines, {begin - time():.1f} s before the window begins")
            _until(lambda: poll() == 0 and time() > end, process)
    return _scheduled_floor(counted, begin, end)


def _next_window(now: float) -> tuple[MachineWindow, float]:
    """Returns a window that begins with a minute, and whose lead has not begun yet."""
    begin = ((now + LEAD_SECONDS) // MINUTE + 1) * MINUTE
    moments = [datetime.fromtimestamp(seconds, UTC) for seconds in (begin, begin + MINUTE)]
    clock = [f"{moment:%H:%M}" for moment in moments]
    window = MachineWindow(
        days=(f"{moments[0]:%a}".lower(),), begin=clock[0], end=clock[1], zone="UTC",
        lead_seconds=LEAD_SECONDS, labels=LABELS, min_machines=FLOOR,
    )  # fmt: skip
    return window, begin


@contextmanager
def _floor_command(
    window: MachineWindow, folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the command as users do; it is terminated afterwards and must exit with 0."""
    file, log = folder / "floor.yaml", folder / "floor.log"
    file.write_text(json.dumps(MachineFloors(windows=(window,), held_by=HELD_BY).as_json()))
    command = [sys.executable, "-m", "jobs.commands", "floor", str(file)]
    with log.open("w") as log_file:
        process = subprocess.Popen(command, env=dict(environment), stdout=log_file, stderr=log_file)
    try:
        yield process
        process.terminate()
        if process.wait(END_SECONDS) != 0:
            raise BackendError(f"the floor command: {log.read_text()[-500:]}", backend="ray")
    finally:
        process.kill()
        process.wait()


def _until(done: Callable[[], bool], command: subprocess.Popen[bytes]) -> None:
    """Polls until `done`; raises BackendError when the command ends or that never happens."""
    late = time() + TIMEOUT_SECONDS
    while not done():
        if command.poll() is not None or time() > late:
            raise BackendError(
                "the floor command ended, or the number of machines never became what it should be",
                backend="ray",
            )
        sleep(POLL_SECONDS)


def _scheduled_floor(counted: list[tuple[float, int]], begin: float, end: float) -> ScheduledFloor:
    present = [when for when, number in counted if number]
    all_present = [when for when, number in counted if number >= FLOOR]
    if not all_present:
        raise BackendError(
            f"{max(n for _, n in counted)} of {FLOOR} machines were added", backend="ray"
        )
    return ScheduledFloor(
        floor=FLOOR,
        most=MAX_MACHINES,
        lead_seconds=LEAD_SECONDS,
        first_before_seconds=round(begin - present[0], 1),
        all_before_seconds=round(begin - all_present[0], 1),
        fewest_inside=min(number for when, number in counted if begin <= when < end),
        most_machines=max(number for _, number in counted),
        gone_after_seconds=round(counted[-1][0] - end, 1),
        idle_seconds=IDLE_SECONDS,
    )
