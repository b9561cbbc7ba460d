"""Renders runs, replays and repairs for a person in a terminal."""

from collections.abc import Sequence

from app.assets.repair import RepairResult
from app.assets.replay import ReplayResult, ReplayVerdict
from app.cli.output import make_console
from app.cli.render.costs import estimate_accuracy
from app.cli.tables import Table, escape, number, right, usd
from app.monitor.history import RunHistory, state_of
from app.store.catalog import RunRecord
from app.store.sweep import SweepReport
from app.store.verify import Difference

LISTED = 40
COUNTS = ("asked", "reused", "accepted", "review", "rejected", "failed", "made")
REPLAY_TEXT = {
    ReplayVerdict.IDENTICAL: "green",
    ReplayVerdict.WITHIN_TOLERANCE: "yellow",
    ReplayVerdict.DIFFERS: "red",
}


def show_runs(runs: Sequence[RunRecord]) -> None:
    """Prints one row per run, the newest first."""
    table = Table("run", "plan", "state", *COUNTS, "seconds", "USD")
    for run in runs:
        summary = run.summary or {}
        figures = [right(str(summary.get(name, ""))) for name in (*COUNTS, "seconds", "cost_usd")]
        table.add(run.run_id, run.plan, state_of(run), *figures)
    make_console().print(table if runs else "no run was begun here yet")


def show_run(history: RunHistory) -> None:
    """Prints the run's own numbers, then every asset it decided."""
    out = make_console()
    run, summary = history.run, history.run.summary or {}
    out.print(f"[bold]{run.run_id}[/] of {escape(run.plan)}: {history.state}")
    out.print(f"began {run.started_at}, ended {run.ended_at or 'not yet'}")
    if history.state == "begun":
        out.print("no end was noted: it is still running, or it was killed; run the plan again")
    numbers = ", ".join(f"{name} {summary[name]}" for name in COUNTS if name in summary)
    out.print(f"{numbers}; {summary.get('seconds', '?')} s, ${history.cost_usd:.4f}")
    if history.estimate:
        accuracy = estimate_accuracy(
            history.estimate, seconds=history.seconds, cost_usd=history.cost_usd
        )
        out.print(accuracy, soft_wrap=True)
    if history.budget:
        out.print(f"{summary.get('cut_short')} assets were cut short: {escape(history.budget)}")
    table = Table("name", "version", "status", "attempts", "seconds", "USD", "reasons")
    for asset in history.assets[:LISTED]:
        table.add(
            asset.name, asset.version, asset.status, asset.attempts, number(asset.seconds, ".2f"),
            usd(asset.cost_usd), "; ".join(asset.reasons[:2]),
        )  # fmt: skip
    out.print(table)
    if len(history.assets) > LISTED:
        out.print(f"... and {len(history.assets) - LISTED} more; --json lists them all")


def show_replay(replay: ReplayResult) -> None:
    """Prints one result, with old and new values of what changed."""
    out = make_console()
    name = f"{escape(replay.name)}@{replay.version}"
    out.print(f"{name}: [{REPLAY_TEXT[replay.sameness]}]{escape(str(replay))}[/]", soft_wrap=True)
    for change in replay.changes:
        out.print(escape(f"    {change.field}: {change.then} -> {change.now}"), soft_wrap=True)


def show_differences(differences: Sequence[Difference]) -> None:
    """Prints one line per difference: kind, place, and what was found."""
    out = make_console()
    for difference in differences:
        named = ", ".join(difference.named_by)
        text = f"{difference.kind}: {named} {difference.digest} {difference.detail}"
        out.print(escape(text), soft_wrap=True)
    out.print(
        f"[red]{len(differences)} differences[/]; mend them with: atelier verify --repair"
        if differences
        else "[green]every file is whole, and the catalog agrees with the store[/]"
    )


def show_repairs(repairs: Sequence[RepairResult]) -> None:
    """Prints what was repaired, and why the rest was not."""
    out = make_console()
    for repair in repairs:
        named = ", ".join(repair.difference.named_by)
        outcome = repair.left or "made again and put back"
        out.print(escape(f"{named} {repair.difference.digest}: {outcome}"), soft_wrap=True)
    mended = sum(not repair.left for repair in repairs)
    out.print(f"{mended} of {len(repairs)} differences mended" if repairs else "nothing to mend")


def show_sweep(swept: SweepReport) -> None:
    """Prints how much was removed, or would be."""
    verb = "would remove" if swept.dry_run else "removed"
    make_console().print(
        f"{verb} {len(swept.drafts)} unfinished files, {len(swept.leases)} old leases and "
        f"{len(swept.blobs)} files that no row names ({swept.freed_bytes / 2**20:.1f} MiB)"
    )
