"""Which kinds of trials there are, and how many of each make a quick look."""

from collections.abc import Callable

from jobs.crash_tests.baseline import Say
from jobs.crash_tests.corruption import rot
from jobs.crash_tests.counters import TrialKind, Trials, TrialsReport
from jobs.crash_tests.driver import driver
from jobs.crash_tests.kill_points import point
from jobs.crash_tests.poison import poison
from jobs.crash_tests.syscall import syscall
from jobs.crash_tests.worker import worker
from jobs.crash_tests.writers import writers

KINDS: dict[TrialKind, Callable[[int, int, Say], Trials]] = {
    TrialKind.POINT: point,
    TrialKind.SYSCALL: syscall,
    TrialKind.ROT: rot,
    TrialKind.WRITERS: writers,
    TrialKind.POISON: poison,
    TrialKind.WORKER: worker,
    TrialKind.DRIVER: driver,
}


def trials(kind: TrialKind, n: int, seed: int, say: Say) -> TrialsReport:
    """`n` trials of one kind or of each, in the order of what they take."""
    chosen = KINDS if kind is TrialKind.ALL else {kind: KINDS[kind]}
    return TrialsReport(seed=seed, kinds=tuple(run(n, seed, say) for run in chosen.values()))
