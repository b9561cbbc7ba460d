"""Removes every machine with a CPU while images are made, and adds a new one afterwards."""

from pathlib import Path
from time import monotonic, sleep

from app.cli.output import Say
from app.types import Value
from jobs.bench.cluster.machines import POLL_SECONDS, machines
from jobs.crash_tests import invariants
from jobs.crash_tests.home import CrashTestHome, lenient_plan
from jobs.crash_tests.job import BulkProcess, ending_all

OTHER_STAGES = ("CheckStage", "FinishStage", "PackStage")
"""The stages other than generation."""
GPU_MACHINES = 2


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
    plan = home.write(lenient_plan(images, sizes=["32x32"]))
    with machines(folder / "m", slow, 0) as cluster:
        for _ in range(GPU_MACHINES):
            cluster.add(cpus=0)
        cpu_machine = cluster.add(gpus=0)
        cluster.scale_to(GPU_MACHINES + 1)
        joining = home.environment(
            **cluster.join_environment, ATELIER_CLUSTER_GPUS=str(GPU_MACHINES)
        )
        job = BulkProcess(plan, joining, workers=GPU_MACHINES)
        with ending_all([job]):
            while job.running and not (cpu_machine.processes("CheckStage") and _images_made(home)):
                sleep(POLL_SECONDS)
            killed = len(cpu_machine.processes(*OTHER_STAGES))
            cluster.remove(cpu_machine)
            before = _images_made(home)
            say(f"no machine with a CPU is left, at {before} images")
            while job.running and _images_made(home) < images:
                sleep(POLL_SECONDS)
            without = _images_made(home) - before
            say(f"{without} images later a machine with CPUs is added")
            added_at = monotonic()
            cluster.add(gpus=0)
            code, _ = job.end()
        caught_up = monotonic() - added_at
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
