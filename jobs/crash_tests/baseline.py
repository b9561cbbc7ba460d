"""The undisturbed run that every disturbed one is compared with."""

from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from app.cli.output import Say
from app.errors import BackendError
from jobs.crash_tests.home import CrashTestHome, crash_test_plan
from jobs.crash_tests.invariants import count_steps, manifest
from jobs.crash_tests.job import BulkProcess, ending_all

ASSETS = 24
SLOW = {"ATELIER_ECHO_SECONDS": "0.3"}
"""Long enough that most moments of a run fall into work."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The result of the plan when nothing disturbs it, and how long that takes."""

    manifest: bytes
    seconds: float
    images: int
    steps: int


def run_baseline(folder: Path, say: Say, *, assets: int = ASSETS) -> Baseline:
    """Runs the tests' plan once in a home of its own."""
    home = CrashTestHome(folder)
    started = monotonic()
    job = BulkProcess(home.write(crash_test_plan(assets)), home.environment(**SLOW))
    with ending_all([job]):
        code, output = job.end()
    if code != 0:
        raise BackendError(f"the undisturbed run ended with {code}: {output}", backend="bulk")
    baseline = Baseline(
        manifest(home), monotonic() - started, len(home.rendered()), count_steps(home)
    )
    say(f"undisturbed: {baseline.images} images in {baseline.seconds:.0f} s")
    return baseline
