"""The elastic cluster on one machine: what it loses, what that costs, and how it grows.

Machines are Ray's own node processes with CPUs and GPUs that are only counted, and an image is a
fixed sleep in place of a GPU's time. Every section has clusters and folders of its own that are
thrown away, and ends only the processes it started.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from app.types import Value
from jobs.bench.cluster.cluster_sizes import Width, widths
from jobs.bench.cluster.cpu_loss import Siege, siege
from jobs.bench.cluster.exposure import Exposure, exposure
from jobs.bench.cluster.kills_and_drains import Blow, Storm, Weather, storm, undisturbed
from jobs.bench.cluster.pool import Pool, pool
from jobs.bench.cluster.replicas import Replicas, replicas
from jobs.bench.cluster.scaling import Scale, scaling
from jobs.bench.cluster.scheduled_floor import Spike, spike
from jobs.crash_tests.baseline import Calm, Say


class Section(StrEnum):
    """What is tried."""

    SCALING = "scaling"
    KILLS = "kills"
    DRAINS = "drains"
    WIDTHS = "widths"
    SIEGE = "siege"
    POOL = "pool"
    SCHEDULE = "schedule"
    REPLICAS = "replicas"
    EXPOSURE = "exposure"


class Extent(Value):
    """How much of everything."""

    nodes: tuple[int, ...]
    images_each: int
    image_seconds: float
    storm_nodes: int
    storm_images: int
    storm_seconds: float
    blows: int
    assets: int
    siege_images: int
    pool_images: int
    burst_calls: int


FULL = Extent(
    nodes=(1, 2, 4, 8), images_each=48, image_seconds=2, storm_nodes=4, storm_images=400,
    storm_seconds=1, blows=20, assets=24, siege_images=60, pool_images=60,
    burst_calls=60,
)  # fmt: skip
QUICK = Extent(
    nodes=(1, 2), images_each=16, image_seconds=1, storm_nodes=2, storm_images=40,
    storm_seconds=0.5, blows=2, assets=6, siege_images=24, pool_images=24,
    burst_calls=24,
)  # fmt: skip


class Load(Value):
    """Processes that wanted a core of this machine, averaged over a minute, ours among them."""

    section: Section
    before: float
    after: float
    cores: int


class ClusterFigures(Value):
    """Every section that was asked for; empty where it was not."""

    image_seconds: float
    """What an image sleeps in `scaling`."""
    scaling: tuple[Scale, ...] = ()
    storms: tuple[Storm, ...] = ()
    widths: tuple[Width, ...] = ()
    siege: Siege | None = None
    pool: Pool | None = None
    schedule: Spike | None = None
    replicas: Replicas | None = None
    exposure: Exposure | None = None
    loads: tuple[Load, ...] = ()

    @property
    def same_bytes(self) -> bool:
        """Whether every width came to the same files and rows."""
        return len({(one.files_digest, one.rows_digest) for one in self.widths}) <= 1

    @property
    def hold(self) -> bool:
        """Whether no law was broken anywhere; speed is no law."""
        single = (self.siege, self.pool, self.schedule, self.replicas, self.exposure)
        tried = [*self.storms, *(one for one in single if one)]
        return self.same_bytes and all(one.hold for one in tried)


def bench_cluster(sections: Sequence[Section], extent: Extent, say: Say) -> ClusterFigures:
    """Run the sections one after the other. Raises BackendError when an undisturbed run breaks."""
    bench = _Bench(extent, say)
    for section in sections:
        before = os.getloadavg()[0]
        say(f"{section}: load {before:.1f}")
        with _folder() as folder:
            bench.steps[section](folder)
        load = Load(
            section=section, before=before, after=os.getloadavg()[0], cores=os.cpu_count() or 1
        )
        bench.figures = bench.figures.replace(loads=(*bench.figures.loads, load))
    return bench.figures


class _Bench:
    """The figures so far, and a step for each section that adds to them."""

    def __init__(self, extent: Extent, say: Say) -> None:
        self.figures = ClusterFigures(image_seconds=extent.image_seconds)
        self._extent, self._say = extent, say
        self._calm: Calm | None = None
        self.steps: dict[Section, Callable[[Path], None]] = {
            Section.SCALING: self._scaling,
            Section.KILLS: lambda folder: self._storm(Blow.KILL, folder),
            Section.DRAINS: lambda folder: self._storm(Blow.DRAIN, folder),
            Section.WIDTHS: self._widths,
            Section.SIEGE: self._siege,
            Section.POOL: self._pool,
            Section.SCHEDULE: self._schedule,
            Section.REPLICAS: self._replicas,
            Section.EXPOSURE: self._exposure,
        }

    def _scaling(self, folder: Path) -> None:
        extent = self._extent
        found = scaling(extent.nodes, extent.images_each, extent.image_seconds, folder, self._say)
        self.figures = self.figures.replace(scaling=found)

    def _storm(self, blow: Blow, folder: Path) -> None:
        extent = self._extent
        weather = Weather(extent.storm_nodes, extent.storm_images, extent.storm_seconds)
        self._calm = self._calm or undisturbed(weather, folder / "c", self._say)
        found = storm(weather, [blow] * extent.blows, self._calm, folder / "s", self._say)
        self._say(str(found))  # now already: another storm may take minutes, and be interrupted
        self.figures = self.figures.replace(storms=(*self.figures.storms, found))

    def _widths(self, folder: Path) -> None:
        found = widths(self._extent.assets, folder, self._say)
        self.figures = self.figures.replace(widths=found)

    def _siege(self, folder: Path) -> None:
        found = siege(self._extent.siege_images, self._extent.storm_seconds, folder, self._say)
        self._say(str(found))
        self.figures = self.figures.replace(siege=found)

    def _pool(self, folder: Path) -> None:
        found = pool(self._extent.pool_images, self._extent.storm_seconds, folder, self._say)
        self._say(str(found))
        self.figures = self.figures.replace(pool=found)

    def _schedule(self, folder: Path) -> None:
        self.figures = self.figures.replace(schedule=spike(folder, self._say))

    def _replicas(self, folder: Path) -> None:
        found = replicas(self._extent.burst_calls, folder, self._say)
        self.figures = self.figures.replace(replicas=found)

    def _exposure(self, folder: Path) -> None:
        self.figures = self.figures.replace(exposure=exposure(folder, self._say))


@contextmanager
def _folder() -> Iterator[Path]:
    """Thrown away in the end; processes that end write to the last."""
    folder = Path(tempfile.mkdtemp(prefix="at-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
