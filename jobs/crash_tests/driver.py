"""Kills the driver at random moments and starts the command again while its workers still live."""

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from app.cli.output import Say
from jobs.crash_tests import invariants
from jobs.crash_tests.baseline import ASSETS, SLOW, Baseline, run_baseline
from jobs.crash_tests.counters import Counters, CrashTestResult
from jobs.crash_tests.home import CrashTestHome, crash_test_plan, rendered_counts
from jobs.crash_tests.job import BulkProcess, ending_all

MAX_KILLS = 3
POLL_SECONDS = 0.2


def kill_driver(n: int, seed: int, say: Say, *, assets: int = ASSETS) -> CrashTestResult:
    """Runs `n` plans, each with one to three kills on the way."""
    counters = Counters("driver")
    with TemporaryDirectory(prefix="atelier-trial-") as folder:
        undisturbed = run_baseline(Path(folder) / "baseline", say, assets=assets)
        for number in range(n):
            rng = Random(f"driver {seed} {number}")
            home = CrashTestHome(Path(folder) / str(number))
            _run_trial(home, undisturbed, rng, counters, assets=assets)
            say(f"driver {number + 1}/{n}: {dict(counters.counted)} {counters.notes or ''}")
    return counters.result()


def _run_trial(
    home: CrashTestHome, undisturbed: Baseline, rng: Random, counters: Counters, *, assets: int
) -> None:
    path, environment = home.write(crash_test_plan(assets)), home.environment(**SLOW)
    counters.trials += 1
    jobs = [BulkProcess(path, environment)]
    seen: dict[str, str] = {}
    with ending_all(jobs):
        for _ in range(rng.randint(1, MAX_KILLS)):
            if not _reached(rng.uniform(0, 1), jobs[-1], home, undisturbed):
                break
            jobs[-1].kill_driver()
            living = len(jobs[-1].workers())
            jobs.append(BulkProcess(path, environment))
            counters.add(
                _where(counters),
                invariants.broken_invariants(home, seen),
                kills=1,
                workers_left_alive=living,
            )
            seen |= invariants.snapshot(home)
            counters.counted["kills amid images"] += 0 < len(home.rendered()) < undisturbed.images
        code, _ = jobs[-1].end()
    final = invariants.broken_at_end(home, seen, code=code, expected=undisturbed.manifest)
    images, repeated = rendered_counts(home)
    counters.add(_where(counters), final, images=images, made_twice_amid_a_kill=repeated)


def _where(counters: Counters) -> str:
    return f"trial {counters.trials}"


def _reached(share: float, job: BulkProcess, home: CrashTestHome, undisturbed: Baseline) -> bool:
    """Waits for that share of the undisturbed run's length; returns whether the job still runs.

    A faster run stops waiting at the same share of its work.
    """
    started = monotonic()
    while job.running and monotonic() - started < share * undisturbed.seconds:
        if invariants.count_steps(home) >= share * undisturbed.steps:
            break
        sleep(POLL_SECONDS)
    return job.running
