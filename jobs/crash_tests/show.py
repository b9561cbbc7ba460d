"""How the trials' counters are said to a person."""

from rich.table import Table

from app.cli.console import console
from jobs.crash_tests.counters import TrialsReport


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
