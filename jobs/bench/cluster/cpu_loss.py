"""Siege: every machine with a CPU dies while images are made; another comes when all are made."""

from pathlib import Path
from time import monotonic, sleep

from app.types import Value
from jobs.bench.cluster.machines import LOOK_SECONDS, machines
from jobs.crash_tests import invariants as laws
from jobs.crash_tests.baseline import Say
from jobs.crash_tests.home import CALM, Home, trial_plan
from jobs.crash_tests.job import Job, cleared

BESIDE = ("CheckStage", "FinishStage", "PackStage")
"""The stages beside generation."""
MAKERS = 2


class Siege(Value):
    """How a run without machines for checks went on, and caught up."""

    images: int
    workers_killed: int
    """Workers of the stages beside generation that died with their machine."""
    painted_before: int
    painted_without: int
    """Images made while no machine had a CPU left."""
    caught_up_seconds: float
    """From the new CPU machine's start to the run's end."""
    lost: int
    broken: int
    """Every law that was broken; the exit code among them."""

    @property
    def hold(self) -> bool:
        """Whether generation went on to its end and nothing was lost."""
        without = self.painted_before + self.painted_without == self.images
        return bool(without and self.workers_killed and not self.lost and not self.broken)


def siege(images: int, seconds: float, folder: Path, say: Say) -> Siege:
    """Two machines with a GPU and no CPU, and one with CPUs that dies once checks have begun."""
    home = Home(folder / "h")
    slow = home.environment(ATELIER_ECHO_SECONDS=str(seconds))
    said = {"candidates": 1, "attempts": 1, "sizes": ["32x32"], "rules": list(CALM)}
    plan = home.write(trial_plan(images, **said))
    with machines(folder / "m", slow, 0) as cluster:
        for _ in range(MAKERS):
            cluster.add(cpus=0)
        beside = cluster.add(gpus=0)
        cluster.grow(MAKERS + 1)
        joining = home.environment(**cluster.joining, ATELIER_CLUSTER_GPUS=str(MAKERS))
        job = Job(plan, joining, workers=MAKERS)
        with cleared([job]):
            while job.running and not (beside.processes("CheckStage") and _made(home)):
                sleep(LOOK_SECONDS)
            killed = len(beside.processes(*BESIDE))
            cluster.bury(beside)
            before = _made(home)
            say(f"no CPU is left, at {before} images")
            while job.running and _made(home) < images:
                sleep(LOOK_SECONDS)
            without = _made(home) - before
            say(f"{without} images later a machine with CPUs comes")
            came = monotonic()
            cluster.add(gpus=0)
            code, _ = job.end()
        caught_up = monotonic() - came
    broken = laws.broken(home)
    return Siege(
        images=images,
        workers_killed=killed,
        painted_before=before,
        painted_without=without,
        caught_up_seconds=round(caught_up, 1),
        lost=2 * images - len(laws.seen(home)),  # an image and an asset each
        broken=sum(broken.values()) + int(code != 0),
    )


def _made(home: Home) -> int:
    return len({request_id for _, request_id in home.painted()})
