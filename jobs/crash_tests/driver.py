"""SIGKILL for the driver at random moments; the same command at once, while its workers live."""

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from jobs.crash_tests import invariants as laws
from jobs.crash_tests.baseline import ASSETS, SLOW, Calm, Say, calm
from jobs.crash_tests.counters import Tally, Trials
from jobs.crash_tests.home import Home, trial_plan
from jobs.crash_tests.job import Job, cleared

MOST_KILLS = 3
LOOK_SECONDS = 0.2


def driver(n: int, seed: int, say: Say, *, assets: int = ASSETS) -> Trials:
    """So many plans, each with one to three kills on its way."""
    tally = Tally("driver")
    with TemporaryDirectory(prefix="atelier-trial-") as folder:
        undisturbed = calm(Path(folder) / "calm", say, assets=assets)
        for number in range(n):
            rng = Random(f"driver {seed} {number}")
            home = Home(Path(folder) / str(number))
            _trial(home, undisturbed, rng, tally, assets=assets)
            say(f"driver {number + 1}/{n}: {dict(tally.counted)} {tally.notes or ''}")
    return tally.done()


def _trial(home: Home, undisturbed: Calm, rng: Random, tally: Tally, *, assets: int) -> None:
    path, environment = home.write(trial_plan(assets)), home.environment(**SLOW)
    tally.trials += 1
    jobs = [Job(path, environment)]
    seen: dict[str, str] = {}
    with cleared(jobs):
        for _ in range(rng.randint(1, MOST_KILLS)):
            if not _came_to(rng.uniform(0, 1), jobs[-1], home, undisturbed):
                break
            jobs[-1].kill_driver()
            living = len(jobs[-1].workers())
            jobs.append(Job(path, environment))
            tally.add(_where(tally), laws.broken(home, seen), kills=1, workers_left_alive=living)
            seen |= laws.seen(home)
            tally.counted["kills amid images"] += 0 < len(home.painted()) < undisturbed.images
        code, _ = jobs[-1].end()
    final = laws.broken(home, seen)
    final["runs that did not end well"] = int(code != 0)
    final["other results"] = int(laws.manifest(home) != undisturbed.manifest)
    painted = [request_id for _, request_id in home.painted()]
    repeated = len(painted) - len(set(painted))
    tally.add(_where(tally), final, images=len(set(painted)), made_twice_amid_a_kill=repeated)


def _where(tally: Tally) -> str:
    return f"trial {tally.trials}"


def _came_to(share: float, job: Job, home: Home, undisturbed: Calm) -> bool:
    """Wait for that share of the undisturbed run's length; whether the job still runs.

    A quicker run is met at the same share of its work.
    """
    started = monotonic()
    while job.running and monotonic() - started < share * undisturbed.seconds:
        if laws.steps(home) >= share * undisturbed.steps:
            break
        sleep(LOOK_SECONDS)
    return job.running
