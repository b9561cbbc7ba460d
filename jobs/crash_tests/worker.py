"""Kills the workers of a running job, which must end by itself with everything made."""

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import sleep

from app.cli.output import Say
from jobs.crash_tests import invariants
from jobs.crash_tests.baseline import ASSETS, SLOW, Baseline, run_baseline
from jobs.crash_tests.counters import Counters, CrashTestResult
from jobs.crash_tests.home import CrashTestHome, crash_test_plan, rendered_counts
from jobs.crash_tests.job import POLL_SECONDS, BulkProcess, ending_all, kill

KILLS = 4
OTHER_STAGES = ("CheckStage", "FinishStage", "PackStage")
"""The stages other than generation."""


def kill_workers(n: int, seed: int, say: Say, *, assets: int = ASSETS) -> CrashTestResult:
    """Runs `n` jobs with random kills, and one whose other stages die while images are made."""
    counters = Counters("worker")
    with TemporaryDirectory(prefix="atelier-trial-") as folder:
        undisturbed = run_baseline(Path(folder) / "baseline", say, assets=assets)
        for number in range(n + 1):
            home = CrashTestHome(Path(folder) / str(number))
            rng = Random(f"worker {seed} {number}") if number < n else None
            _run_trial(home, undisturbed, rng, counters, assets=assets)
            say(f"worker {number + 1}/{n + 1}: {dict(counters.counted)} {counters.notes or ''}")
    return counters.result()


def _run_trial(
    home: CrashTestHome,
    undisturbed: Baseline,
    rng: Random | None,
    counters: Counters,
    *,
    assets: int,
) -> None:
    counters.trials += 1
    job = BulkProcess(home.write(crash_test_plan(assets)), home.environment(**SLOW))
    with ending_all([job]):
        if rng is None:
            _kill_other_stages(home, job, 2 * assets, counters)
        else:
            _kill_some(job, undisturbed, rng, counters)
        seen = invariants.snapshot(home)
        code, _ = job.end()
    final = invariants.broken_at_end(home, seen, code=code, expected=undisturbed.manifest)
    images, repeated = rendered_counts(home)
    name = f"trial {counters.trials}" + ("" if rng else " (no checks)")
    counters.add(name, final, images=images, made_twice_amid_a_kill=repeated)


def _kill_some(job: BulkProcess, undisturbed: Baseline, rng: Random, counters: Counters) -> None:
    """Kills random workers of any stage at random moments."""
    done = 0
    while job.running and done < KILLS:
        sleep(rng.uniform(0, undisturbed.seconds / KILLS))
        workers = job.workers()
        if workers and kill(rng.choice(workers)):
            done += 1
    counters.counted["kills"] += done


def _kill_other_stages(
    home: CrashTestHome, job: BulkProcess, first_round: int, counters: Counters
) -> None:
    """Kills every worker outside generation until the first round's images have all been made."""
    while job.running and len(home.rendered()) < first_round:
        for worker in job.workers(*OTHER_STAGES):
            counters.counted["kills in the siege"] += kill(worker)
        sleep(POLL_SECONDS)
    counters.counted["images committed in the siege"] += len(invariants.snapshot(home))
