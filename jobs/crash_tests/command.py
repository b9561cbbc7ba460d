"""Runs and prints the kinds of crash tests."""

from collections.abc import Callable

from app.cli.output import Say, make_console
from app.cli.tables import Cell, Table, escape, styled
from jobs.crash_tests.corruption import corrupt_files
from jobs.crash_tests.counters import CrashTestKind, CrashTestReport, CrashTestResult
from jobs.crash_tests.driver import kill_driver
from jobs.crash_tests.kill_points import kill_at_points
from jobs.crash_tests.poison import poison_requests
from jobs.crash_tests.syscall import fail_syscalls
from jobs.crash_tests.worker import kill_workers
from jobs.crash_tests.writers import concurrent_writers

KINDS: dict[CrashTestKind, Callable[[int, int, Say], CrashTestResult]] = {
    CrashTestKind.POINT: kill_at_points,
    CrashTestKind.SYSCALL: fail_syscalls,
    CrashTestKind.ROT: corrupt_files,
    CrashTestKind.WRITERS: concurrent_writers,
    CrashTestKind.POISON: poison_requests,
    CrashTestKind.WORKER: kill_workers,
    CrashTestKind.DRIVER: kill_driver,
}


def run_crash_tests(kind: CrashTestKind, n: int, seed: int, say: Say) -> CrashTestReport:
    """Runs `n` tests of one kind or of each kind in turn, the quickest kinds first."""
    chosen = KINDS if kind is CrashTestKind.ALL else {kind: KINDS[kind]}
    return CrashTestReport(seed=seed, kinds=tuple(run(n, seed, say) for run in chosen.values()))


def show_crash_tests(report: CrashTestReport) -> None:
    """Prints one line per counter: first those that must be 0, then the others."""
    out = make_console()
    table = Table("kind", "trials", "counter", "")
    for kind in report.kinds:
        rows: list[tuple[Cell, Cell]] = [
            (name, styled(n, "bold red" if n else "")) for name, n in kind.broken.items()
        ]
        rows += [(styled(name, "dim"), styled(n, "dim")) for name, n in kind.counted.items()]
        for at, row in enumerate(rows):
            table.add(*(("", "") if at else (kind.kind, kind.trials)), *row)
    out.print(table)
    for kind in report.kinds:
        for note in kind.notes:
            out.print(escape(f"{kind.kind}: {note}"), soft_wrap=True)
    verdict = "nothing broke" if report.holds else "[bold red]something broke[/]"
    out.print(f"seed {report.seed}: {verdict}")
