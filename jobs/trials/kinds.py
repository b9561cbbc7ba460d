"""Which kinds of trials there are, and how many of each make a quick look."""

from collections.abc import Callable

from jobs.trials.calm import Say
from jobs.trials.driver import driver
from jobs.trials.point import point
from jobs.trials.poison import poison
from jobs.trials.rot import rot
from jobs.trials.syscall import syscall
from jobs.trials.tally import TrialKind, Trials, TrialsReport
from jobs.trials.worker import worker
from jobs.trials.writers import writers

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
