"""Which kinds of trials there are, and how many of each make a quick look."""

from collections.abc import Callable

from rich.table import Table

from app.cli.output import console
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


def show_trials(report: TrialsReport) -> None:
    """One line per counter: those that must be 0 first, then what else was counted."""
    out = console()
    table = Table("kind", "trials", "counted", "", box=None)
    for one in report.kinds:
        label = (one.kind, str(one.trials))
        for name, count in one.broken.items():
            table.add_row(*label, name, f"[bold red]{count}[/]" if count else "0")
            label = ("", "")
        for name, count in one.counted.items():
            table.add_row(*label, f"[dim]{name}[/]", f"[dim]{count}[/]")
            label = ("", "")
    out.print(table)
    for one in report.kinds:
        for note in one.notes:
            out.print(f"{one.kind}: {note}", soft_wrap=True, markup=False)
    verdict = "nothing broke" if report.hold else "[bold red]something broke[/]"
    out.print(f"seed {report.seed}: {verdict}")
