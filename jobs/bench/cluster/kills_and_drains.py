"""Kills and drains machines under a run, replaces them, and counts what is lost."""

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

from app.cli.output import Say
from app.errors import BackendError
from app.types import Value
from jobs.bench.cluster.machines import POLL_SECONDS, Machine, Machines, machines
from jobs.crash_tests import invariants
from jobs.crash_tests.baseline import Baseline
from jobs.crash_tests.home import CrashTestHome, lenient_plan, rendered_counts
from jobs.crash_tests.job import BulkProcess, ending_all

GENERATION = "GenerateStage"


class Disruption(StrEnum):
    """What is done to a machine that generates images."""

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
        return lenient_plan(self.images, sizes=["32x32"])


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The outcome of a run, with or without disruptions."""

    home: CrashTestHome
    disruptions: Counter[str]
    code: int | None
    accepted: int
    seconds: float
    seen: dict[str, str]
    leave_seconds: list[float]


@dataclass(slots=True)
class _Draining:
    """When machines were sent SIGTERM, and the seconds until they had ended."""

    signalled_at: dict[Machine, float] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)

    def poll(self, cluster: Machines) -> None:
        """Removes the machines that have ended."""
        for node in [machine for machine in self.signalled_at if not machine.alive]:
            self.took.append(monotonic() - self.signalled_at.pop(node))
            cluster.remove(node)


def run_disrupted(
    shape: RunShape,
    disruptions: Sequence[Disruption],
    undisturbed: Baseline,
    folder: Path,
    say: Say,
) -> DisruptedRun:
    """Runs one run under these disruptions, spread over its images; hit machines are replaced."""
    outcome = run(shape, disruptions, folder, say)
    home, committed = outcome.home, invariants.snapshot(outcome.home)
    broken = invariants.broken_invariants(home, outcome.seen)
    missing = 2 * shape.images - len(committed)  # an image and an asset each
    again = broken.pop("made again after commit")
    return DisruptedRun(
        blows=dict(outcome.disruptions),
        nodes=shape.nodes,
        images=shape.images,
        lost=max(missing, broken.pop("lost"), shape.images - outcome.accepted),
        painted_after_commit=again,
        painted_again=rendered_counts(home)[1],
        other_results=int(invariants.manifest(home) != undisturbed.manifest),
        other_breaks=sum(broken.values()) + int(outcome.code != 0),
        seconds=round(outcome.seconds, 1),
        added_seconds=round(outcome.seconds - undisturbed.seconds, 1),
        leave_seconds=round(median(outcome.leave_seconds), 1) if outcome.leave_seconds else None,
    )


def run_undisturbed(shape: RunShape, folder: Path, say: Say) -> Baseline:
    """Runs the undisturbed run. Raises BackendError when it does not end well."""
    outcome = run(shape, (), folder, say)
    if outcome.code != 0:
        raise BackendError(f"the undisturbed run ended with {outcome.code}", backend="bulk")
    rendered = len(outcome.home.rendered())
    return Baseline(
        invariants.manifest(outcome.home),
        outcome.seconds,
        rendered,
        invariants.count_steps(outcome.home),
    )


def run(shape: RunShape, disruptions: Sequence[Disruption], folder: Path, say: Say) -> RunOutcome:
    """Runs one run on a cluster of its own."""
    home, done, draining = CrashTestHome(folder / "h"), Counter[str](), _Draining()
    rng = Random("storm")
    slow = home.environment(ATELIER_ECHO_SECONDS=str(shape.seconds))
    with machines(folder / "m", slow, shape.nodes) as cluster:
        started = monotonic()
        joining = home.environment(
            **cluster.join_environment, ATELIER_CLUSTER_GPUS=str(shape.nodes)
        )
        job = BulkProcess(home.write(shape.plan), joining, workers=shape.nodes)
        with ending_all([job]):
            for number, disruption in enumerate(disruptions, 1):
                _await(shape.images * number / (len(disruptions) + 1), job, home, cluster, draining)
                if job.running and _disrupt(disruption, cluster, draining, rng):
                    done[disruption] += 1
                    say(
                        f"{disruption} {number}/{len(disruptions)} at {len(home.rendered())} images"
                    )
            seen = invariants.snapshot(home)
            while job.running and draining.signalled_at:
                draining.poll(cluster)
                sleep(POLL_SECONDS)
            code, output = job.end()
        seconds = monotonic() - started
    say(f"{shape.images} images on {shape.nodes} nodes in {seconds:.0f} s: {dict(done)}")
    accepted = json.loads(output)["accepted"] if code == 0 else 0
    return RunOutcome(home, done, code, accepted, seconds, seen, draining.took)


def _await(
    images: float, job: BulkProcess, home: CrashTestHome, cluster: Machines, draining: _Draining
) -> None:
    while job.running and len({request_id for _, request_id in home.rendered()}) < images:
        draining.poll(cluster)
        sleep(POLL_SECONDS)


def _disrupt(disruption: Disruption, cluster: Machines, draining: _Draining, rng: Random) -> bool:
    """Disrupts a machine that makes images now, if there is one, and starts a replacement."""
    working = [
        node
        for node in cluster.nodes
        if node not in draining.signalled_at and node.processes(GENERATION)
    ]
    if not working:
        return False
    node = rng.choice(working)
    if disruption is Disruption.TERM:
        return _send_notice(node.processes(GENERATION)[0])
    if disruption is Disruption.KILL:
        cluster.remove(node)
    else:
        draining.signalled_at[node] = monotonic()
        node.terminate()
    cluster.add()
    return True


def _send_notice(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        process.send_signal(signal.SIGTERM)
        return True
    return False
