"""The elastic cluster on one machine: what it loses, what that costs, and how it grows.

Machines are Ray's own node processes with CPUs and GPUs that are only counted, and an image is a
fixed sleep in place of a GPU's time. Every section has clusters and folders of its own that are
deleted afterwards, and ends only the processes it started.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from app.cli.output import Say
from app.types import Value
from jobs.bench.cluster.cluster_sizes import ClusterSize, run_sizes
from jobs.bench.cluster.cpu_loss import CpuLoss, run_cpu_loss
from jobs.bench.cluster.exposure import Exposure, scan_exposure
from jobs.bench.cluster.kills_and_drains import (
    DisruptedRun,
    Disruption,
    RunShape,
    run_disrupted,
    run_undisturbed,
)
from jobs.bench.cluster.pool import PoolFigures, run_pool
from jobs.bench.cluster.replicas import Replicas, run_bursts
from jobs.bench.cluster.scaling import ScalingRun, run_scaling
from jobs.bench.cluster.scheduled_floor import ScheduledFloor, run_scheduled_floor
from jobs.crash_tests.baseline import Baseline


class Section(StrEnum):
    """The parts of the benchmark."""

    SCALING = "scaling"
    KILLS = "kills"
    DRAINS = "drains"
    WIDTHS = "widths"
    SIEGE = "siege"
    POOL = "pool"
    SCHEDULE = "schedule"
    REPLICAS = "replicas"
    EXPOSURE = "exposure"


@dataclass(frozen=True, slots=True)
class Extent:
    """Which sections run, and the size of each."""

    sections: tuple[Section, ...]
    nodes: tuple[int, ...]
    images_each: int
    image_seconds: float
    run_nodes: int
    run_images: int
    run_image_seconds: float
    disruptions: int
    assets: int
    cpu_loss_images: int
    pool_images: int
    burst_calls: int


class CpuLoad(Value):
    """The load average of this machine over a minute, including our own processes."""

    section: Section
    before: float
    after: float
    cores: int


class ClusterFigures(Value):
    """The figures of every section that was asked for; empty where it was not."""

    image_seconds: float
    """Seconds that an image sleeps in `scaling`."""
    scaling: tuple[ScalingRun, ...] = ()
    storms: tuple[DisruptedRun, ...] = ()
    widths: tuple[ClusterSize, ...] = ()
    siege: CpuLoss | None = None
    pool: PoolFigures | None = None
    schedule: ScheduledFloor | None = None
    replicas: Replicas | None = None
    exposure: Exposure | None = None
    loads: tuple[CpuLoad, ...] = ()

    @property
    def same_bytes(self) -> bool:
        """Returns whether every cluster size gave the same files and rows."""
        return len({(width.files_digest, width.rows_digest) for width in self.widths}) <= 1

    @property
    def holds(self) -> bool:
        """Returns whether no invariant was broken; speed is not an invariant."""
        single = (self.siege, self.pool, self.schedule, self.replicas, self.exposure)
        measured = [*self.storms, *(section for section in single if section)]
        return self.same_bytes and all(section.holds for section in measured)


def bench_cluster(extent: Extent, say: Say) -> ClusterFigures:
    """Runs the sections one after the other. Raises BackendError when an undisturbed run fails."""
    bench = _ClusterBench(extent, say)
    for section in extent.sections:
        before = os.getloadavg()[0]
        say(f"{section}: load {before:.1f}")
        with _folder() as folder:
            bench.steps[section](folder)
        load = CpuLoad(
            section=section, before=before, after=os.getloadavg()[0], cores=os.cpu_count() or 1
        )
        bench.figures = bench.figures.replace(loads=(*bench.figures.loads, load))
    return bench.figures


class _ClusterBench:
    """The figures so far, and a step for each section that adds to them."""

    def __init__(self, extent: Extent, say: Say) -> None:
        self.figures = ClusterFigures(image_seconds=extent.image_seconds)
        self._extent, self._say = extent, say
        self._undisturbed: Baseline | None = None
        self.steps: dict[Section, Callable[[Path], None]] = {
            Section.SCALING: self._scaling,
            Section.KILLS: lambda folder: self._disrupted_run(Disruption.KILL, folder),
            Section.DRAINS: lambda folder: self._disrupted_run(Disruption.DRAIN, folder),
            Section.WIDTHS: self._widths,
            Section.SIEGE: self._cpu_loss,
            Section.POOL: self._pool,
            Section.SCHEDULE: self._schedule,
            Section.REPLICAS: self._replicas,
            Section.EXPOSURE: self._exposure,
        }

    def _scaling(self, folder: Path) -> None:
        extent = self._extent
        scales = run_scaling(
            extent.nodes, extent.images_each, extent.image_seconds, folder, self._say
        )
        self.figures = self.figures.replace(scaling=scales)

    def _disrupted_run(self, disruption: Disruption, folder: Path) -> None:
        extent = self._extent
        shape = RunShape(extent.run_nodes, extent.run_images, extent.run_image_seconds)
        self._undisturbed = self._undisturbed or run_undisturbed(shape, folder / "u", self._say)
        disruptions = [disruption] * extent.disruptions
        result = run_disrupted(shape, disruptions, self._undisturbed, folder / "d", self._say)
        self._say(str(result))  # now: the next such run takes minutes and may be interrupted
        self.figures = self.figures.replace(storms=(*self.figures.storms, result))

    def _widths(self, folder: Path) -> None:
        result = run_sizes(self._extent.assets, folder, self._say)
        self.figures = self.figures.replace(widths=result)

    def _cpu_loss(self, folder: Path) -> None:
        extent = self._extent
        result = run_cpu_loss(extent.cpu_loss_images, extent.run_image_seconds, folder, self._say)
        self._say(str(result))
        self.figures = self.figures.replace(siege=result)

    def _pool(self, folder: Path) -> None:
        extent = self._extent
        result = run_pool(extent.pool_images, extent.run_image_seconds, folder, self._say)
        self._say(str(result))
        self.figures = self.figures.replace(pool=result)

    def _schedule(self, folder: Path) -> None:
        self.figures = self.figures.replace(schedule=run_scheduled_floor(folder, self._say))

    def _replicas(self, folder: Path) -> None:
        result = run_bursts(self._extent.burst_calls, folder, self._say)
        self.figures = self.figures.replace(replicas=result)

    def _exposure(self, folder: Path) -> None:
        self.figures = self.figures.replace(exposure=scan_exposure(folder, self._say))


@contextmanager
def _folder() -> Iterator[Path]:
    """Yields a folder and deletes it; ending processes may write until the last moment."""
    folder = Path(tempfile.mkdtemp(prefix="at-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
