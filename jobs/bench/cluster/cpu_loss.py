"""CPU loss: every machine with a CPU dies while images are made; a new one starts afterwards."""

from pathlib import Path
from time import monotonic, sleep

from app.types import Value
from jobs.bench.cluster.machines import POLL_SECONDS, machines
from jobs.crash_tests import invariants
from jobs.crash_tests.baseline import Say
from jobs.crash_tests.home import LENIENT_RULES, CrashTestHome, crash_test_plan
from jobs.crash_tests.job import BulkProcess, ending_all

OTHER_STAGES = ("CheckStage", "FinishStage", "PackStage")
"""The stages other than generation."""
MAKERS = 2


class CpuLoss(Value):
    """How a run without machines for checks continued, and caught up."""

    images: int
    workers_killed: int
    """Workers of stages other than generation that died with their machine."""
    painted_before: int
    painted_without: int
    """Images made while no machine had a CPU left."""
    caught_up_seconds: float
    """From the new CPU machine's start to the run's end."""
    lost: int
    broken: int
    """All broken invariants; a wrong exit code counts as one."""

    @property
    def holds(self) -> bool:
        """Returns whether generation ran to its end and nothing was lost."""
        without = self.painted_before + self.painted_without == self.images
        return bool(without and self.workers_killed and not self.lost and not self.broken)


def run_cpu_loss(images: int, seconds: float, folder: Path, say: Say) -> CpuLoss:
    """Runs two machines with only a GPU, and one with CPUs that dies once checks have begun."""
    home = CrashTestHome(folder / "h")
    slow = home.environment(ATELIER_ECHO_SECONDS=str(seconds))
    defaults = {"candidates": 1, "attempts": 1, "sizes": ["32x32"], "rules": list(LENIENT_RULES)}
    plan = home.write(crash_test_plan(images, **defaults))
    with machines(folder / "m", slow, 0) as cluster:
        for _ in range(MAKERS):
            cluster.add(cpus=0)
        beside = cluster.add(gpus=0)
        cluster.scale_to(MAKERS + 1)
        joining = home.environment(**cluster.join_environment, ATELIER_CLUSTER_GPUS=str(MAKERS))
        job = BulkProcess(plan, joining, workers=MAKERS)
        with ending_all([job]):
            while job.running and not (beside.processes("CheckStage") and _images_made(home)):
                sleep(POLL_SECONDS)
            killed = len(beside.processes(*OTHER_STAGES))
            cluster.remove(beside)
            before = _images_made(home)
            say(f"no CPU is left, at {before} images")
            while job.running and _images_made(home) < images:
                sleep(POLL_SECONDS)
            without = _images_made(home) - before
            say(f"{without} images later a machine with CPUs comes")
            arrived_at = monotonic()
            cluster.add(gpus=0)
            code, _ = job.end()
        caught_up = monotonic() - arrived_at
    broken = invariants.broken_invariants(home)
    return CpuLoss(
        images=images,
        workers_killed=killed,
        painted_before=before,
        painted_without=without,
        caught_up_seconds=round(caught_up, 1),
        lost=2 * images - len(invariants.snapshot(home)),  # an image and an asset each
        broken=sum(broken.values()) + int(code != 0),
    )


def _images_made(home: CrashTestHome) -> int:
    return len({request_id for _, request_id in home.rendered()})
