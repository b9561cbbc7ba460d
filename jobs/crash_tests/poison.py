"""A request that kills its process and one that hangs it, in the middle of a bulk run."""

import json
from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

from sqlalchemy import Connection, func, select

from app.cli.output import Say
from app.generate.generate import MAX_TRIES
from app.store import tables
from app.types import AssetRecord, Status
from jobs.crash_tests import invariants
from jobs.crash_tests.counters import Counters, CrashTestResult
from jobs.crash_tests.home import CrashTestHome, lenient_plan
from jobs.crash_tests.job import BulkProcess, ending_all

ASSETS = 24
WORDS = {"ATELIER_ECHO_DIES_AT": "deadly", "ATELIER_ECHO_HANGS_AT": "endless"}
ENVIRONMENT = {**WORDS, "ATELIER_STUCK_SECONDS": "5", "ATELIER_ECHO_SECONDS": "0.02"}
WORKERS = 2
POLL_SECONDS = 0.25


def poison_requests(n: int, seed: int, say: Say) -> CrashTestResult:
    """Runs `n` jobs, each with one request of either kind among two dozen."""
    counters = Counters("poison")
    with TemporaryDirectory(prefix="atelier-trial-") as folder:
        for number in range(n):
            rng = Random(f"poison {seed} {number}")
            _run_trial(CrashTestHome(Path(folder) / str(number)), rng, counters)
            say(f"poison {number + 1}/{n}: {dict(counters.counted)} {counters.notes or ''}")
    return counters.result()


def _run_trial(home: CrashTestHome, rng: Random, counters: Counters) -> None:
    counters.trials += 1
    plan = lenient_plan(ASSETS)
    bad = _poison_prompts(plan, rng)
    job = BulkProcess(home.write(plan), home.environment(**ENVIRONMENT), workers=WORKERS)
    seen: set[int] = set()
    begun = 0
    with ending_all([job]):
        while job.running:
            seen |= {worker.pid for worker in job.workers("GenerateStage")}
            begun = max(begun, _max_attempts_begun(home))
            sleep(POLL_SECONDS)
        code, output = job.end()
    store = home.open()
    records = store.catalog.find_assets()
    store.catalog.close()
    broken_laws = invariants.broken_invariants(home) | _outcome_counts(records, bad)
    broken_laws["runs that did not end with 1"] = int(code != 1)
    broken_laws["answers that are not one document"] = int(not _is_json(output))
    broken_laws["begun more often than allowed"] = int(begun > MAX_TRIES + 1)
    died = len(seen) - WORKERS
    counters.add(
        f"trial {counters.trials}", broken_laws, poisonous=len(bad), workers_that_died=died
    )


def _max_attempts_begun(home: CrashTestHome) -> int:
    """Returns the most attempts of any request; the one after the last allowed is refused."""
    if not home.has_catalog:
        return 0
    store = home.open()
    try:
        return store.catalog.read(_most_attempts)
    finally:
        store.catalog.close()


def _most_attempts(connection: Connection) -> int:
    return connection.execute(select(func.max(tables.leases.c.attempts))).scalar_one() or 0


def _poison_prompts(plan: dict[str, Any], rng: Random) -> set[str]:
    """Adds each poison word to one prompt; returns the names of those assets.

    The two are neighbours in the order of prompts, so that they mostly share a row.
    """
    ordered = sorted(plan["assets"], key=lambda entry: str(entry["prompt"]))
    first = rng.randrange(len(ordered) - len(WORDS) + 1)
    chosen = ordered[first : first + len(WORDS)]
    for entry, word in zip(chosen, WORDS.values(), strict=True):
        entry["prompt"] += f" {word}"
    return {entry["name"] for entry in chosen}


def _outcome_counts(records: list[AssetRecord], bad: set[str]) -> dict[str, int]:
    ended = {
        record.name for record in records if record.status is Status.FAILED and _poisoned(record)
    }
    accepted = {record.name for record in records if record.status is Status.ACCEPTED}
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
