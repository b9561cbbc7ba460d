"""Storm: machines are killed and drained under a run, others come, and nothing may be lost."""

import json
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random
from statistics import median
from time import monotonic, sleep
from typing import Any

import psutil

from app.errors import BackendError
from app.types import Value
from jobs.bench.cluster.machines import LOOK_SECONDS, Machine, Machines, machines
from jobs.crash_tests import invariants as laws
from jobs.crash_tests.baseline import Calm, Say
from jobs.crash_tests.home import CALM, Home, trial_plan
from jobs.crash_tests.job import Job, cleared

MAKERS = "GenerateStage"


class Blow(StrEnum):
    """What happens to a machine at work."""

    KILL = "kill"
    """SIGKILL for its raylet and all of its workers at once."""
    DRAIN = "drain"
    """SIGTERM for its `ray start`, as a container's end or a spot notice begins."""
    TERM = "term"
    """SIGTERM for the process that makes images alone."""


class Storm(Value):
    """One run under blows, held against an undisturbed one."""

    blows: dict[str, int]
    nodes: int
    images: int
    lost: int
    """Images and assets asked for that do not stand in the end."""
    painted_after_commit: int
    painted_again: int
    """Painted a second time, because the first was not yet committed when its machine died."""
    other_results: int
    """Whether any asset or page differs from the undisturbed run's."""
    other_breaks: int
    """All other laws that were broken; the exit code among them."""
    seconds: float
    added_seconds: float
    leave_seconds: float | None
    """From SIGTERM until the machine was gone by itself, the median; None without a drain."""

    @property
    def hold(self) -> bool:
        """Whether nothing was lost, made again or made otherwise."""
        return not any(
            (self.lost, self.painted_after_commit, self.other_results, self.other_breaks)
        )


@dataclass(frozen=True, slots=True)
class Weather:
    """How large a run, on how many machines, and how long an image takes there."""

    nodes: int
    images: int
    seconds: float

    @property
    def plan(self) -> dict[str, Any]:
        """One image an asset, which every check lets pass."""
        said = {"candidates": 1, "attempts": 1, "sizes": ["32x32"], "rules": list(CALM)}
        return trial_plan(self.images, **said)


@dataclass(frozen=True, slots=True)
class Passed:
    """What a run came to, blows or none."""

    home: Home
    blows: Counter[str]
    code: int | None
    accepted: int
    seconds: float
    seen: dict[str, str]
    leave_seconds: list[float]


@dataclass(slots=True)
class _Leaving:
    """Machines that were told to go and when, and how long those took that went."""

    told: dict[Machine, float] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)

    def look(self, cluster: Machines) -> None:
        """Bury those that have ended."""
        for node in [one for one in self.told if not one.alive]:
            self.took.append(monotonic() - self.told.pop(node))
            cluster.bury(node)


def storm(weather: Weather, blows: Sequence[Blow], calm: Calm, folder: Path, say: Say) -> Storm:
    """One run under these blows, evenly over its images; whoever is hit is replaced at once."""
    passed = run(weather, blows, folder, say)
    home, standing = passed.home, laws.seen(passed.home)
    broken = laws.broken(home, passed.seen)
    painted = [request_id for _, request_id in home.painted()]
    missing = 2 * weather.images - len(standing)  # an image and an asset each
    again = broken.pop("made again after commit")
    return Storm(
        blows=dict(passed.blows),
        nodes=weather.nodes,
        images=weather.images,
        lost=max(missing, broken.pop("lost"), weather.images - passed.accepted),
        painted_after_commit=again,
        painted_again=len(painted) - len(set(painted)),
        other_results=int(laws.manifest(home) != calm.manifest),
        other_breaks=sum(broken.values()) + int(passed.code != 0),
        seconds=round(passed.seconds, 1),
        added_seconds=round(passed.seconds - calm.seconds, 1),
        leave_seconds=round(median(passed.leave_seconds), 1) if passed.leave_seconds else None,
    )


def undisturbed(weather: Weather, folder: Path, say: Say) -> Calm:
    """What storms are held against. Raises BackendError when the run does not end well."""
    passed = run(weather, (), folder, say)
    if passed.code != 0:
        raise BackendError(f"the undisturbed run ended with {passed.code}", backend="bulk")
    painted = len(passed.home.painted())
    return Calm(laws.manifest(passed.home), passed.seconds, painted, laws.steps(passed.home))


def run(weather: Weather, blows: Sequence[Blow], folder: Path, say: Say) -> Passed:
    """One run on a cluster of its own."""
    home, done, leaving = Home(folder / "h"), Counter[str](), _Leaving()
    rng = Random("storm")
    slow = home.environment(ATELIER_ECHO_SECONDS=str(weather.seconds))
    with machines(folder / "m", slow, weather.nodes) as cluster:
        started = monotonic()
        joining = home.environment(**cluster.joining, ATELIER_CLUSTER_GPUS=str(weather.nodes))
        job = Job(home.write(weather.plan), joining, workers=weather.nodes)
        with cleared([job]):
            for number, blow in enumerate(blows, 1):
                _await(weather.images * number / (len(blows) + 1), job, home, cluster, leaving)
                if job.running and _strike(blow, cluster, leaving, rng):
                    done[blow] += 1
                    say(f"{blow} {number}/{len(blows)} at {len(home.painted())} images")
            seen = laws.seen(home)
            while job.running and leaving.told:
                leaving.look(cluster)
                sleep(LOOK_SECONDS)
            code, output = job.end()
        seconds = monotonic() - started
    say(f"{weather.images} images on {weather.nodes} nodes in {seconds:.0f} s: {dict(done)}")
    accepted = json.loads(output)["accepted"] if code == 0 else 0
    return Passed(home, done, code, accepted, seconds, seen, leaving.took)


def _await(images: float, job: Job, home: Home, cluster: Machines, leaving: _Leaving) -> None:
    while job.running and len({one for _, one in home.painted()}) < images:
        leaving.look(cluster)
        sleep(LOOK_SECONDS)


def _strike(blow: Blow, cluster: Machines, leaving: _Leaving, rng: Random) -> bool:
    """Hit a machine that makes images now, if there is one, and start another in its place."""
    standing = [one for one in cluster.nodes if one not in leaving.told and one.processes(MAKERS)]
    if not standing:
        return False
    node = rng.choice(standing)
    if blow is Blow.TERM:
        return _told(node.processes(MAKERS)[0])
    if blow is Blow.KILL:
        cluster.bury(node)
    else:
        leaving.told[node] = monotonic()
        node.tell()
    cluster.add()
    return True


def _told(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        process.send_signal(signal.SIGTERM)
        return True
    return False
