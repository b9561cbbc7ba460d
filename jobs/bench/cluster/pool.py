"""Pool: Ray's own autoscaler adds machines for a run and removes them, on this machine.

It starts processes where a cloud would start machines, so its times are Ray's alone: a cloud's
machine and image add to them.
"""

import json
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep, time

from app.cli.output import Say
from app.errors import BackendError
from app.types import Value
from jobs.bench.cluster.elastic import elastic_cluster, gpu_machines
from jobs.bench.cluster.machines import POLL_SECONDS
from jobs.crash_tests import invariants
from jobs.crash_tests.home import CrashTestHome, lenient_plan
from jobs.crash_tests.job import BulkProcess, ending_all

IDLE_SECONDS = 5
MAX_MACHINES = 2
REQUESTED = 4
TIMEOUT_SECONDS = 300.0


class PoolFigures(Value):
    """One run on a cluster without a GPU machine; seconds are from the command unless named."""

    images: int
    wished: int
    """GPU workers that the run asked for."""
    most: int
    """GPU machines that the cluster may have."""
    first_machine_seconds: float
    first_image_seconds: float
    most_machines: int
    """The most GPU machines at once."""
    last_image_seconds: float
    empty_seconds: float
    """From the last image to the last GPU machine's end."""
    idle_seconds: float
    """Part of it: the idle timeout of the autoscaler."""
    cpu_tail_seconds: float
    """From the last image to the run's end."""
    empty_before_end: bool
    """Whether the GPU machines were gone while the run was still at work on CPUs."""
    lost: int
    broken: int

    @property
    def holds(self) -> bool:
        """Returns whether machines were added and removed, and nothing was lost or stuck."""
        return bool(self.most_machines) and not self.lost and not self.broken


def run_pool(images: int, seconds: float, folder: Path, say: Say) -> PoolFigures:
    """Runs a plan that asks for too many machines; finishing goes on after its last image."""
    home = CrashTestHome(folder / "h")
    sizes = [f"{side}x{side}" for side in range(128, 32, -8)]
    plan = home.write(lenient_plan(images, sizes=sizes))
    slow = home.environment(ATELIER_ECHO_SECONDS=str(seconds))
    counted: list[tuple[float, int]] = []
    with elastic_cluster(folder / "m", slow, MAX_MACHINES, IDLE_SECONDS) as (head, joining):
        began = time()
        environment = home.environment(**joining, ATELIER_CLUSTER_GPUS=str(REQUESTED))
        job = BulkProcess(plan, environment, workers=REQUESTED)

        def poll() -> int:
            counted.append((time(), gpu_machines(head)))
            return counted[-1][1]

        with ending_all([job]):
            _until(lambda: not job.running, poll)
            ended = time()
            code, output = job.end()
            say(f"the run ended with {code}")
            _until(lambda: counted[-1][1] == 0, poll)
    if code != 0:
        raise BackendError(f"the run on the pool: {output}", backend="bulk")
    moments = sorted(when for when, _ in home.rendered())
    present = [when for when, number in counted if number]
    gone = next(when for when, number in counted if when > present[-1] and number == 0)
    return PoolFigures(
        images=images,
        wished=REQUESTED,
        most=MAX_MACHINES,
        first_machine_seconds=round(present[0] - began, 1),
        first_image_seconds=round(moments[0] - began, 1),
        most_machines=max(number for _, number in counted),
        last_image_seconds=round(moments[-1] - began, 1),
        empty_seconds=round(gone - moments[-1], 1),
        idle_seconds=IDLE_SECONDS,
        cpu_tail_seconds=round(ended - moments[-1], 1),
        empty_before_end=gone < ended,
        lost=2 * images - len(invariants.snapshot(home)),
        broken=sum(invariants.broken_invariants(home).values())
        + int(json.loads(output)["accepted"] != images),
    )


def _until(done: Callable[[], bool], poll: Callable[[], int]) -> None:
    """Polls until `done`; raises BackendError when that never happens."""
    started = monotonic()
    while not done():
        machines = poll()
        if monotonic() - started > TIMEOUT_SECONDS:
            raise BackendError(
                f"the cluster does not change any more, with {machines} GPU machines", backend="ray"
            )
        sleep(POLL_SECONDS)
