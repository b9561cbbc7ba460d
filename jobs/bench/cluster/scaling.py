"""Scaling: the share of the machines' time that goes into images, where an image is a fixed sleep.

The sleep stands for a GPU's time: what is measured is everything around it, on one real machine for
all of the simulated ones.
"""

from pathlib import Path
from time import time

from app.cli.output import Say
from app.errors import BackendError
from app.types import Value
from jobs.bench.cluster.kills_and_drains import RunShape
from jobs.bench.cluster.machines import Machines, machines
from jobs.crash_tests.home import CrashTestHome
from jobs.crash_tests.job import BulkProcess, ending_all


class ScalingRun(Value):
    """One run on this many machines; an efficiency of 1 means that every machine always works."""

    nodes: int
    images: int
    first_image_seconds: float
    """From the command to the first image; machines run already, workers do not."""
    making_seconds: float
    """From the start of the first image to the end of the last."""
    total_seconds: float
    steady_efficiency: float
    """Over the middle half of the images: all workers are warm, none has run out of work."""
    whole_efficiency: float
    """Over `making_seconds`, including workers that start late and rows that end unevenly."""


def run_scaling(
    nodes: tuple[int, ...], each: int, seconds: float, folder: Path, say: Say
) -> tuple[ScalingRun, ...]:
    """Runs `each` images per machine, on a cluster that grows between the runs."""
    slow = CrashTestHome(folder / "m").environment(ATELIER_ECHO_SECONDS=str(seconds))
    log = CrashTestHome(folder / "m").echo_log
    with machines(folder / "m", slow, 0) as cluster:
        runs = []
        for number in nodes:
            cluster.scale_to(number)
            before = len(log.read_text().splitlines()) if log.exists() else 0
            shape = RunShape(number, each * number, seconds)
            began, ended = _run(shape, cluster, CrashTestHome(folder / str(number)))
            lines = log.read_text().splitlines()[before:]
            moments = sorted(float(line.split()[0]) for line in lines)
            runs.append(scaling_run(shape, moments, began, ended))
            say(f"{number} nodes: {runs[-1]}")
    return tuple(runs)


def _run(shape: RunShape, cluster: Machines, home: CrashTestHome) -> tuple[float, float]:
    nodes = str(shape.nodes)
    joining = home.environment(**cluster.join_environment, ATELIER_CLUSTER_GPUS=nodes)
    began = time()
    job = BulkProcess(home.write(shape.plan), joining, workers=shape.nodes)
    with ending_all([job]):
        code, output = job.end()
    if code != 0:
        raise BackendError(f"the run on {nodes} nodes: {output}", backend="bulk")
    return began, time()


def scaling_run(shape: RunShape, moments: list[float], began: float, ended: float) -> ScalingRun:
    """Returns the run's figures; `moments` are the images' end times in order."""
    quarter = len(moments) // 4
    first, last = moments[quarter], moments[-quarter - 1]
    steady = (len(moments) - 2 * quarter - 1) / (last - first)
    making = moments[-1] - moments[0] + shape.seconds
    return ScalingRun(
        nodes=shape.nodes,
        images=len(moments),
        first_image_seconds=round(moments[0] - began, 1),
        making_seconds=round(making, 1),
        total_seconds=round(ended - began, 1),
        steady_efficiency=round(steady * shape.seconds / shape.nodes, 3),
        whole_efficiency=round(len(moments) * shape.seconds / shape.nodes / making, 3),
    )
