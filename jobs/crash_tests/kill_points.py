"""Kills the process at every named point of the publish protocol, then repeats the work."""

import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import FrameType

from app.cli.output import Say
from app.settings import Settings
from app.store.fault_injection import POINTS, fault_point
from jobs.crash_tests import invariants
from jobs.crash_tests.counters import Counters, CrashTestResult
from jobs.crash_tests.home import LENIENT_RULES, CrashTestHome, crash_test_plan, rendered_counts
from jobs.crash_tests.workload import (
    STEPS,
    StepwiseRun,
    ending,
    processes,
    run_all_steps,
    run_in_process,
)

OF_BUCKETS = {"blob.sent", "blob.verified"}
"""Points that only object stores pass; tests/store kills a store on a bucket there."""
ASSETS = 3


def kill_at_points(n: int, seed: int, say: Say) -> CrashTestResult:
    """Kills at the first, a middle and the last passing of every point; at most `n` tests."""
    counters, context = Counters("point"), processes()
    with TemporaryDirectory(prefix="atelier-trial-") as folder:
        undisturbed = _home(Path(folder), "undisturbed")
        passings = _passings(context, undisturbed)
        expected = invariants.manifest(undisturbed)
        counters.broken["points never passed"] = len(set(POINTS) - OF_BUCKETS - set(passings))
        chosen = _chosen(passings)
        for name, number in sorted(Random(seed).sample(chosen, min(n, len(chosen)))):
            _run_trial(
                _home(Path(folder), f"{name}-{number}"), name, number, expected, counters, context
            )
        say(f"point: {counters.trials} trials, {counters.notes or 'nothing broke'}")
    return counters.result()


def _home(folder: Path, name: str) -> CrashTestHome:
    home = CrashTestHome(folder / name)
    home.write(crash_test_plan(ASSETS, rules=list(LENIENT_RULES)))
    return home


def _chosen(passings: Mapping[str, int]) -> list[tuple[str, int]]:
    return [
        (name, number)
        for name in POINTS
        if name in passings
        for number in sorted({1, (passings[name] + 1) // 2, passings[name]})
    ]


def _run_trial(
    home: CrashTestHome,
    name: str,
    number: int,
    expected: bytes,
    counters: Counters,
    context: ForkServerContext,
) -> None:
    counters.trials += 1
    plan, environment = home.folder / "plan.yaml", home.environment()
    fault = environment | {"ATELIER_FAULT": f"{name}:{number}"}
    died = run_in_process(context, run_all_steps, plan, fault) == -signal.SIGKILL
    counters.add(
        f"{name}:{number}",
        invariants.broken_invariants(home) | {"deaths that did not come": int(not died)},
    )
    seen = invariants.snapshot(home)
    code = run_in_process(context, run_all_steps, plan, environment)
    final = invariants.broken_at_end(home, seen, code=code, expected=expected)
    _, repeated = rendered_counts(home)
    counters.add(
        f"{name}:{number} and again", final, kills=int(died), made_twice_amid_a_kill=repeated
    )


def _passings(context: ForkServerContext, home: CrashTestHome) -> dict[str, int]:
    """Counts how often the undisturbed work passes each point."""
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_count, args=(home.folder / "plan.yaml", home.environment(), theirs)
    )
    process.start()
    theirs.close()
    passings: dict[str, int] = ours.recv()
    process.join()
    return passings


def _count(plan: Path, environment: Mapping[str, str], answer: Connection) -> None:
    """Runs the work and counts every call of `fault_point`; ends the process."""
    passings: Counter[str] = Counter()

    def count_call(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is fault_point.__code__:
            passings[frame.f_locals["point"]] += 1

    with ending(environment):
        threading.setprofile(count_call)
        sys.setprofile(count_call)
        work = StepwiseRun(plan, Settings())
        for step in STEPS.values():
            step(work)
        sys.setprofile(None)
        answer.send(dict(passings))
