"""A request that kills its process and one that hangs it, in the middle of a bulk run."""

import json
from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

from sqlalchemy import Connection, func, select

from app.generate.generate import MAX_TRIES
from app.store import tables
from app.types import AssetRecord, Status
from jobs.crash_tests import invariants as laws
from jobs.crash_tests.baseline import Say
from jobs.crash_tests.counters import Tally, Trials
from jobs.crash_tests.home import CALM, Home, trial_plan
from jobs.crash_tests.job import Job, cleared

ASSETS = 24
WORDS = {"ATELIER_ECHO_DIES_AT": "deadly", "ATELIER_ECHO_HANGS_AT": "endless"}
ENVIRONMENT = {**WORDS, "ATELIER_STUCK_SECONDS": "5", "ATELIER_ECHO_SECONDS": "0.02"}
WORKERS = 2
LOOK_SECONDS = 0.25


def poison(n: int, seed: int, say: Say) -> Trials:
    """So many jobs, each with one request of either kind among two dozen."""
    tally = Tally("poison")
    with TemporaryDirectory(prefix="atelier-trial-") as folder:
        for number in range(n):
            rng = Random(f"poison {seed} {number}")
            _trial(Home(Path(folder) / str(number)), rng, tally)
            say(f"poison {number + 1}/{n}: {dict(tally.counted)} {tally.notes or ''}")
    return tally.done()


def _trial(home: Home, rng: Random, tally: Tally) -> None:
    tally.trials += 1
    plan = trial_plan(ASSETS, candidates=1, attempts=1, rules=list(CALM))
    bad = _spoil(plan, rng)
    job = Job(home.write(plan), home.environment(**ENVIRONMENT), workers=WORKERS)
    seen: set[int] = set()
    begun = 0
    with cleared([job]):
        while job.running:
            seen |= {one.pid for one in job.workers("GenerateStage")}
            begun = max(begun, _begun(home))
            sleep(LOOK_SECONDS)
        code, output = job.end()
    store = home.open()
    records = store.catalog.find_assets()
    store.catalog.close()
    found = laws.broken(home) | _fates(records, bad)
    found["runs that did not end with 1"] = int(code != 1)
    found["answers that are not one document"] = int(not _is_json(output))
    found["begun more often than allowed"] = int(begun > MAX_TRIES + 1)
    died = len(seen) - WORKERS
    tally.add(f"trial {tally.trials}", found, poisonous=len(bad), workers_that_died=died)


def _begun(home: Home) -> int:
    """The most attempts that any request counts now; the one after the last allowed is refused."""
    if not home.begun:
        return 0
    store = home.open()
    try:
        return store.catalog.read(_most_attempts)
    finally:
        store.catalog.close()


def _most_attempts(connection: Connection) -> int:
    return connection.execute(select(func.max(tables.leases.c.attempts))).scalar_one() or 0


def _spoil(plan: dict[str, Any], rng: Random) -> set[str]:
    """Put each word into one prompt; the names of those assets.

    The two follow each other in the order of prompts, so that they mostly share a row.
    """
    ordered = sorted(plan["assets"], key=lambda entry: str(entry["prompt"]))
    first = rng.randrange(len(ordered) - len(WORDS) + 1)
    chosen = ordered[first : first + len(WORDS)]
    for entry, word in zip(chosen, WORDS.values(), strict=True):
        entry["prompt"] += f" {word}"
    return {entry["name"] for entry in chosen}


def _fates(records: list[AssetRecord], bad: set[str]) -> dict[str, int]:
    ended = {one.name for one in records if one.status is Status.FAILED and _poisoned(one)}
    accepted = {one.name for one in records if one.status is Status.ACCEPTED}
    return {
        "poison not ended as such": len(bad - ended),
        "neighbours not accepted": ASSETS - len(bad) - len(accepted - bad),
    }


def _poisoned(record: AssetRecord) -> bool:
    return any(reason.startswith("poison") for reason in record.reasons)


def _is_json(text: str) -> bool:
    with suppress(json.JSONDecodeError):
        json.loads(text)
        return True
    return False
