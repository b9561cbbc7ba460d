"""Machines are killed and drained under a run and replaced, and nothing may be lost."""

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
from jobs.bench.cluster.machines import POLL_SECONDS, Machine, Machines, machines
from jobs.crash_tests import invariants
from jobs.crash_tests.baseline import Baseline, Say
from jobs.crash_tests.home import LENIENT_RULES, CrashTestHome, crash_test_plan
from jobs.crash_tests.job import BulkProcess, ending_all

MAKERS = "GenerateStage"


class Disruption(StrEnum):
    """What happens to a machine at work."""

    KILL = "kill"
    """SIGKILL for its raylet and all of its workers at once."""
    DRAIN = "drain"
    """SIGTERM for its `ray start`, as a container's end or a spot notice begins."""
    TERM = "term"
    """SIGTERM for only the process that makes images."""


class DisruptedRun(Value):
    """One run under disruptions, compared with an undisturbed one."""

    blows: dict[str, int]
    nodes: int
    images: int
    lost: int
    """Requested images and assets that are missing at the end."""
    painted_after_commit: int
    painted_again: int
    """Rendered twice, because the first was not yet committed when its machine died."""
    other_results: int
    """Whether any asset or page differs from the undisturbed run's."""
    other_breaks: int
    """All other broken invariants; a wrong exit code counts as one."""
    seconds: float
    added_seconds: float
    leave_seconds: float | None
    """Median seconds from SIGTERM until the machine was gone by itself; None without a drain."""

    @property
    def holds(self) -> bool:
        """Returns whether nothing was lost, repeated after its commit, or different."""
        return not any(
            (self.lost, self.painted_after_commit, self.other_results, self.other_breaks)
        )


@dataclass(frozen=True, slots=True)
class RunShape:
    """The size of a run, its number of machines, and the seconds per image."""

    nodes: int
    images: int
    seconds: float

    @property
    def plan(self) -> dict[str, Any]:
        """Returns a plan of one image per asset, which every check accepts."""
        defaults = {
            "candidates": 1,
            "attempts": 1,
            "sizes": ["32x32"],
            "rules": list(LENIENT_RULES),
        }
        return crash_test_plan(self.images, **defaults)


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The outcome of a run, with or without disruptions."""

    home: CrashTestHome
    blows: Counter[str]
    code: int | None
    accepted: int
    seconds: float
    seen: dict[str, str]
    leave_seconds: list[float]


@dataclass(slots=True)
class _Departures:
    """Machines that were told to stop and when, and the seconds that stopped ones took."""

    told_at: dict[Machine, float] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)

    def poll(self, cluster: Machines) -> None:
        """Removes the machines that have ended."""
        for node in [machine for machine in self.told_at if not machine.alive]:
            self.took.append(monotonic() - self.told_at.pop(node))
            cluster.remove(node)


def run_disrupted(
    weather: RunShape, blows: Sequence[Disruption], calm: Baseline, folder: Path, say: Say
) -> DisruptedRun:
    """Runs one run under these disruptions, spread over its images; hit machines are replaced."""
    passed = run(weather, blows, folder, say)
    home, standing = passed.home, invariants.snapshot(passed.home)
    broken = invariants.broken_invariants(home, passed.seen)
    painted = [request_id for _, request_id in home.rendered()]
    missing = 2 * weather.images - len(standing)  # an image and an asset each
    again = broken.pop("made again after commit")
    return DisruptedRun(
        blows=dict(passed.blows),
        nodes=weather.nodes,
        images=weather.images,
        lost=max(missing, broken.pop("lost"), weather.images - passed.accepted),
        painted_after_commit=again,
        painted_again=len(painted) - len(set(painted)),
        other_results=int(invariants.manifest(home) != calm.manifest),
        other_breaks=sum(broken.values()) + int(passed.code != 0),
        seconds=round(passed.seconds, 1),
        added_seconds=round(passed.seconds - calm.seconds, 1),
        leave_seconds=round(median(passed.leave_seconds), 1) if passed.leave_seconds else None,
    )


def run_undisturbed(weather: RunShape, folder: Path, say: Say) -> Baseline:
    """Runs the undisturbed run. Raises BackendError when it does not end well."""
    passed = run(weather, (), folder, say)
    if passed.code != 0:
        raise BackendError(f"the undisturbed run ended with {passed.code}", backend="bulk")
    painted = len(passed.home.rendered())
    return Baseline(
        invariants.manifest(passed.home),
        passed.seconds,
        painted,
        invariants.count_steps(passed.home),
    )


def run(weather: RunShape, blows: Sequence[Disruption], folder: Path, say: Say) -> RunOutcome:
    """Runs one run on a cluster of its own."""
    home, done, leaving = CrashTestHome(folder / "h"), Counter[str](), _Departures()
    rng = Random("storm")
    slow = home.environment(ATELIER_ECHO_SECONDS=str(weather.seconds))
    with machines(folder / "m", slow, weather.nodes) as cluster:
        started = monotonic()
        joining = home.environment(
            **cluster.join_environment, ATELIER_CLUSTER_GPUS=str(weather.nodes)
        )
        job = BulkProcess(home.write(weather.plan), joining, workers=weather.nodes)
        with ending_all([job]):
            for number, blow in enumerate(blows, 1):
                _await(weather.images * number / (len(blows) + 1), job, home, cluster, leaving)
                if job.running and _disrupt(blow, cluster, leaving, rng):
                    done[blow] += 1
                    say(f"{blow} {number}/{len(blows)} at {len(home.rendered())} images")
            seen = invariants.snapshot(home)
            while job.running and leaving.told_at:
                leaving.poll(cluster)
                sleep(POLL_SECONDS)
            code, output = job.end()
        seconds = monotonic() - started
    say(f"{weather.images} images on {weather.nodes} nodes in {seconds:.0f} s: {dict(done)}")
    accepted = json.loads(output)["accepted"] if code == 0 else 0
    return RunOutcome(home, done, code, accepted, seconds, seen, leaving.took)


def _await(
    images: float, job: BulkProcess, home: CrashTestHome, cluster: Machines, leaving: _Departures
) -> None:
    while job.running and len({request_id for _, request_id in home.rendered()}) < images:
        leaving.poll(cluster)
        sleep(POLL_SECONDS)


def _disrupt(blow: Disruption, cluster: Machines, leaving: _Departures, rng: Random) -> bool:
    """Disrupts a machine that makes images now, if there is one, and starts a replacement."""
    standing = [
        node for node in cluster.nodes if node not in leaving.told_at and node.processes(MAKERS)
    ]
    if not standing:
        return False
    node = rng.choice(standing)
    if blow is Disruption.TERM:
        return _send_notice(node.processes(MAKERS)[0])
    if blow is Disruption.KILL:
        cluster.remove(node)
    else:
        leaving.told_at[node] = monotonic()
        node.terminate()
    cluster.add()
    return True


def _send_notice(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        process.send_signal(signal.SIGTERM)
        return True
    return False
