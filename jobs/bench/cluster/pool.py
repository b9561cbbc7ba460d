"""Pool: Ray's own autoscaler brings machines for a run and takes them away, on this machine.

It starts processes where a cloud would start machines, so its times are Ray's alone: those of a
cloud's machine and its image come on top.
"""

import json
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep, time

from app.errors import BackendError
from app.types import Value
from jobs.bench.cluster.elastic import elastic, gpu_machines
from jobs.bench.cluster.machines import LOOK_SECONDS
from jobs.crash_tests import invariants as laws
from jobs.crash_tests.baseline import Say
from jobs.crash_tests.home import CALM, Home, trial_plan
from jobs.crash_tests.job import Job, cleared

IDLE_SECONDS = 5
MOST = 2
WISH = 4
PATIENCE_SECONDS = 300.0


class Pool(Value):
    """One run on a cluster without a GPU machine; seconds are from the command unless named."""

    images: int
    wished: int
    """GPU workers that the run asked for."""
    most: int
    """GPU machines that the cluster may have."""
    first_machine_seconds: float
    first_image_seconds: float
    most_machines: int
    """GPU machines that there were at once."""
    last_image_seconds: float
    empty_seconds: float
    """From the last image to the last GPU machine's end."""
    idle_seconds: float
    """Of that, what the autoscaler was told to wait."""
    cpu_tail_seconds: float
    """From the last image to the run's end."""
    empty_before_end: bool
    """Whether the GPU machines were gone while the run was still at work on CPUs."""
    lost: int
    broken: int

    @property
    def hold(self) -> bool:
        """Whether machines came and went, and nothing was lost or stuck."""
        return bool(self.most_machines) and not self.lost and not self.broken


def pool(images: int, seconds: float, folder: Path, say: Say) -> Pool:
    """A run that wishes for more machines than it may have; finishing takes a while after it."""
    home = Home(folder / "h")
    sizes = [f"{side}x{side}" for side in range(128, 32, -8)]
    said = {"candidates": 1, "attempts": 1, "sizes": sizes, "rules": list(CALM)}
    plan = home.write(trial_plan(images, **said))
    slow = home.environment(ATELIER_ECHO_SECONDS=str(seconds))
    counted: list[tuple[float, int]] = []
    with elastic(folder / "m", slow, MOST, IDLE_SECONDS) as (head, joining):
        began = time()
        environment = home.environment(**joining, ATELIER_CLUSTER_GPUS=str(WISH))
        job = Job(plan, environment, workers=WISH)

        def look() -> int:
            counted.append((time(), gpu_machines(head)))
            return counted[-1][1]

        with cleared([job]):
            _until(lambda: not job.running, look)
            ended = time()
            code, output = job.end()
            say(f"the run has ended with {code}")
            _until(lambda: counted[-1][1] == 0, look)
    if code != 0:
        raise BackendError(f"the run on the pool: {output}", backend="bulk")
    moments = sorted(when for when, _ in home.painted())
    there = [when for when, number in counted if number]
    gone = next(when for when, number in counted if when > there[-1] and number == 0)
    return Pool(
        images=images,
        wished=WISH,
        most=MOST,
        first_machine_seconds=round(there[0] - began, 1),
        first_image_seconds=round(moments[0] - began, 1),
        most_machines=max(number for _, number in counted),
        last_image_seconds=round(moments[-1] - began, 1),
        empty_seconds=round(gone - moments[-1], 1),
        idle_seconds=IDLE_SECONDS,
        cpu_tail_seconds=round(ended - moments[-1], 1),
        empty_before_end=gone < ended,
        lost=2 * images - len(laws.seen(home)),
        broken=sum(laws.broken(home).values()) + int(json.loads(output)["accepted"] != images),
    )


def _until(done: Callable[[], bool], look: Callable[[], int]) -> None:
    """Raises BackendError when it never comes to that: something is stuck."""
    started = monotonic()
    while not done():
        machines = look()
        if monotonic() - started > PATIENCE_SECONDS:
            raise BackendError(f"nothing moves, with {machines} GPU machines", backend="ray")
        sleep(LOOK_SECONDS)
