"""How runs and what was made again are said to a person in a terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from app.assets.repair import Repair
from app.assets.replay import Replay, Sameness
from app.cli.output import console
from app.cli.render.costs import how_good
from app.monitor.history import RunHistory, state_of
from app.store.catalog import RunRecord
from app.store.sweep import Sweep
from app.store.verify import Difference

LISTED = 40
COUNTS = ("asked", "reused", "accepted", "review", "rejected", "failed", "made")
SAMENESS = {
    Sameness.IDENTICAL: "green",
    Sameness.WITHIN_TOLERANCE: "yellow",
    Sameness.DIFFERS: "red",
}


def show_runs(runs: Sequence[RunRecord]) -> None:
    """One row per run, the newest first."""
    table = Table("run", "plan", "state", *COUNTS, "seconds", "USD", box=None)
    for run in runs:
        said = run.summary or {}
        numbers = [str(said.get(name, "")) for name in (*COUNTS, "seconds", "cost_usd")]
        table.add_row(run.run_id, escape(run.plan), state_of(run), *numbers)
    console().print(table if runs else "no run was begun here yet")


def show_run(history: RunHistory) -> None:
    """The run's own numbers, then every asset it decided."""
    out = console()
    run, said = history.run, history.run.summary or {}
    out.print(f"[bold]{run.run_id}[/] of {escape(run.plan)}: {history.state}")
    out.print(f"began {run.started_at}, ended {run.ended_at or 'not yet'}")
    if history.state == "begun":
        out.print("no end was noted: it is still running, or it was killed; run the plan again")
    numbers = ", ".join(f"{name} {said[name]}" for name in COUNTS if name in said)
    out.print(f"{numbers}; {said.get('seconds', '?')} s, ${history.cost_usd:.4f}")
    if history.estimate:
        said_then = how_good(history.estimate, seconds=history.seconds, cost_usd=history.cost_usd)
        out.print(said_then, soft_wrap=True)
    if history.budget:
        out.print(f"{said.get('cut_short')} assets were cut short: {escape(history.budget)}")
    table = Table("name", "version", "status", "attempts", "seconds", "USD", "reasons", box=None)
    for one in history.assets[:LISTED]:
        table.add_row(
            one.name, one.version, one.status, str(one.attempts), f"{one.seconds:.2f}",
            f"{one.cost_usd:.5f}", escape("; ".join(one.reasons[:2])),
        )  # fmt: skip
    out.print(table)
    if len(history.assets) > LISTED:
        out.print(f"... and {len(history.assets) - LISTED} more; --json lists them all")


def show_replay(replay: Replay) -> None:
    """One answer, with what changed from what to what."""
    out = console()
    name = f"{escape(replay.name)}@{replay.version}"
    out.print(f"{name}: [{SAMENESS[replay.sameness]}]{escape(str(replay))}[/]", soft_wrap=True)
    for change in replay.changes:
        out.print(
            f"    {change.field}: {change.then} -> {change.now}", markup=False, soft_wrap=True
        )


def show_differences(found: Sequence[Difference]) -> None:
    """One line per difference: what, where, what stands there."""
    out = console()
    for one in found:
        named = ", ".join(one.named_by)
        text = f"{one.kind}: {named} {one.digest} {one.detail}"
        out.print(text, markup=False, soft_wrap=True)
    out.print(
        f"[red]{len(found)} differences[/]; mend them with: atelier verify --repair"
        if found
        else "[green]every file is whole, and the catalog agrees with the store[/]"
    )


def show_repairs(repairs: Sequence[Repair]) -> None:
    """What was mended, and why the rest was not."""
    out = console()
    for one in repairs:
        named = ", ".join(one.difference.named_by)
        said = one.left or "made again and put back"
        out.print(f"{named} {one.difference.digest}: {said}", markup=False, soft_wrap=True)
    mended = sum(not one.left for one in repairs)
    out.print(f"{mended} of {len(repairs)} differences mended" if repairs else "nothing to mend")


def show_sweep(swept: Sweep) -> None:
    """How much went, or would go."""
    verb = "would remove" if swept.dry_run else "removed"
    console().print(
        f"{verb} {len(swept.drafts)} unfinished files, {len(swept.leases)} old leases and "
        f"{len(swept.blobs)} files that no row names ({swept.freed_bytes / 2**20:.1f} MiB)"
    )
