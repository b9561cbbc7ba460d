"""The undisturbed run that every disturbed one is held against."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TypeAlias

from app.errors import BackendError
from jobs.crash_tests.home import Home, trial_plan
from jobs.crash_tests.invariants import manifest, steps
from jobs.crash_tests.job import Job, cleared

Say: TypeAlias = Callable[[str], None]
ASSETS = 24
SLOW = {"ATELIER_ECHO_SECONDS": "0.3"}
"""Long enough that most moments of a run fall into work."""


@dataclass(frozen=True, slots=True)
class Calm:
    """What the plan comes to when nothing happens, and how long that takes."""

    manifest: bytes
    seconds: float
    images: int
    steps: int


def calm(folder: Path, say: Say, *, assets: int = ASSETS) -> Calm:
    """Run the trials' plan once in a home of its own."""
    home = Home(folder)
    started = monotonic()
    job = Job(home.write(trial_plan(assets)), home.environment(**SLOW))
    with cleared([job]):
        code, output = job.end()
    if code != 0:
        raise BackendError(f"the undisturbed run ended with {code}: {output}", backend="bulk")
    found = Calm(manifest(home), monotonic() - started, len(home.painted()), steps(home))
    say(f"undisturbed: {found.images} images in {found.seconds:.0f} s")
    return found
