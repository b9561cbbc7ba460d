"""SIGKILL for the workers of a running job, which must end by itself with everything made."""

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import sleep

from jobs.crash_tests import invariants as laws
from jobs.crash_tests.baseline import ASSETS, SLOW, Calm, Say, calm
from jobs.crash_tests.counters import Tally, Trials
from jobs.crash_tests.home import Home, trial_plan
from jobs.crash_tests.job import LOOK_SECONDS, Job, cleared, kill

KILLS = 4
BESIDE = ("CheckStage", "FinishStage", "PackStage")
"""The stages beside generation."""


def worker(n: int, seed: int, say: Say, *, assets: int = ASSETS) -> Trials:
    """So many jobs with random kills, and one whose checks are besieged while images are made."""
    tally = Tally("worker")
    with TemporaryDirectory(prefix="atelier-trial-") as folder:
        undisturbed = calm(Path(folder) / "calm", say, assets=assets)
        for number in range(n + 1):
            home = Home(Path(folder) / str(number))
            rng = Random(f"worker {seed} {number}") if number < n else None
            _trial(home, undisturbed, rng, tally, assets=assets)
            say(f"worker {number + 1}/{n + 1}: {dict(tally.counted)} {tally.notes or ''}")
    return tally.done()


def _trial(home: Home, undisturbed: Calm, rng: Random | None, tally: Tally, *, assets: int) -> None:
    tally.trials += 1
    job = Job(home.write(trial_plan(assets)), home.environment(**SLOW))
    with cleared([job]):
        if rng is None:
            _besiege(home, job, 2 * assets, tally)
        else:
            _kill_some(job, undisturbed, rng, tally)
        seen = laws.seen(home)
        code, _ = job.end()
    final = laws.broken(home, seen)
    final["runs that did not end well"] = int(code != 0)
    final["other results"] = int(laws.manifest(home) != undisturbed.manifest)
    painted = [request_id for _, request_id in home.painted()]
    repeated = len(painted) - len(set(painted))
    name = f"trial {tally.trials}" + ("" if rng else " (siege)")
    tally.add(name, final, images=len(set(painted)), made_twice_amid_a_kill=repeated)


def _kill_some(job: Job, undisturbed: Calm, rng: Random, tally: Tally) -> None:
    """Random workers of any stage at random moments."""
    done = 0
    while job.running and done < KILLS:
        sleep(rng.uniform(0, undisturbed.seconds / KILLS))
        workers = job.workers()
        if workers and kill(rng.choice(workers)):
            done += 1
    tally.counted["kills"] += done


def _besiege(home: Home, job: Job, first_round: int, tally: Tally) -> None:
    """No worker beside generation lives until the first round's images have all been made."""
    while job.running and len(home.painted()) < first_round:
        for one in job.workers(*BESIDE):
            tally.counted["kills in the siege"] += kill(one)
        sleep(LOOK_SECONDS)
    tally.counted["images committed in the siege"] += len(laws.seen(home))
