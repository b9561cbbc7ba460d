"""Prints the elastic cluster's figures."""

from rich.console import Console
from rich.table import Table

from app.cli.output import make_console
from jobs.bench.cluster.bench import ClusterFigures
from jobs.bench.cluster.cpu_loss import CpuLoss
from jobs.bench.cluster.exposure import HEALTH, Exposure, stated_reason
from jobs.bench.cluster.pool import PoolFigures
from jobs.bench.cluster.port_scan import Port
from jobs.bench.cluster.replicas import Replicas
from jobs.bench.cluster.scheduled_floor import ScheduledFloor


def show_exposure(exposure: Exposure, out: Console) -> None:
    """Prints a row for each socket, and then what is open besides health, and why."""
    table = Table(
        "process", "listens at", "who reaches it", "speaks", "refused", "absent", "health",
        "stated", "beyond", box=None,
    )  # fmt: skip
    for door in exposure.doors:
        table.add_row(*_row(exposure, door))
    out.print(
        f"nobody's calls: {exposure.routes} routes; the token's file has mode {exposure.token_mode}"
    )
    out.print(table)
    stated = {stated_reason(name) for door in exposure.doors for name in door.opened} - {""}
    for why in sorted(stated):
        out.print(f"stated: {why}")
    for door in exposure.doors:
        for name in exposure.unexpected(door):
            out.print(f"[bold red]open at {door.address}:{door.port}, {door.process}: {name}[/]")


def _row(exposure: Exposure, door: Port) -> list[str]:
    health = sum(name in HEALTH for name in door.opened)
    stated = sum(bool(stated_reason(name)) for name in door.opened)
    counts = (door.refused, door.absent, health, stated, len(exposure.unexpected(door)))
    where = f"{door.address}:{door.port}"
    return [door.process, where, door.reachable_from, door.speaks, *map(str, counts)]


GOAL = 0.95
"""The share of 8 machines' time that should go into images."""


def show_cluster_figures(figures: ClusterFigures) -> None:
    """Prints a table for each section that ran, the machine's load beside it, and the verdict."""
    out = make_console()
    if figures.scaling:
        _show_scaling(figures, out)
    if figures.storms:
        _show_disrupted_runs(figures, out)
    if figures.widths:
        _show_widths(figures, out)
    if figures.siege:
        _show_cpu_loss(figures.siege, out)
    if figures.pool:
        _show_pool(figures.pool, out)
    if figures.schedule:
        _show_spike(figures.schedule, out)
    if figures.replicas:
        _show_replicas(figures.replicas, out)
    if figures.exposure:
        show_exposure(figures.exposure, out)
    for load in figures.loads:
        out.print(
            f"[dim]{load.section}: load {load.before:.1f} before, {load.after:.1f} after, "
            f"on {load.cores} cores[/]"
        )
    out.print("nothing broke" if figures.holds else "[bold red]something broke[/]")


def _show_scaling(figures: ClusterFigures, out: Console) -> None:
    table = Table("nodes", "images", "first image", "all made", "run", "steady", "whole", box=None)
    for scale in figures.scaling:
        table.add_row(
            str(scale.nodes), str(scale.images), f"{scale.first_image_seconds:g} s",
            f"{scale.making_seconds:g} s", f"{scale.total_seconds:g} s",
            f"{scale.steady_efficiency:.1%}", f"{scale.whole_efficiency:.1%}",
        )  # fmt: skip
    out.print(f"an image sleeps {figures.image_seconds:g} s in place of a GPU's time")
    out.print(table)
    last = figures.scaling[-1]
    reached = "reached" if last.steady_efficiency >= GOAL else "missed"
    out.print(f"the goal of {GOAL:.0%} on {last.nodes} nodes is {reached} while all work")


def _show_disrupted_runs(figures: ClusterFigures, out: Console) -> None:
    table = Table(
        "blows", "nodes", "images", "lost", "after commit", "again", "other", "added", "left in",
        box=None,
    )  # fmt: skip
    for result in figures.storms:
        table.add_row(
            ", ".join(f"{count} {blow}" for blow, count in result.blows.items()), str(result.nodes),
            str(result.images), str(result.lost), str(result.painted_after_commit),
            str(result.painted_again), str(result.other_results + result.other_breaks),
            f"{result.added_seconds:g} s of {result.seconds:g} s",
            "" if result.leave_seconds is None else f"{result.leave_seconds:g} s",
        )  # fmt: skip
    out.print(table)


def _show_widths(figures: ClusterFigures, out: Console) -> None:
    table = Table("nodes", "images", "files", "files' digest", "rows' digest", box=None)
    for width in figures.widths:
        table.add_row(
            str(width.nodes), str(width.images), str(width.files),
            width.files_digest[:16], width.rows_digest[:16],
        )  # fmt: skip
    out.print(table)
    out.print("the same bytes" if figures.same_bytes else "[bold red]other bytes[/]")


def _show_cpu_loss(siege: CpuLoss, out: Console) -> None:
    out.print(
        f"without a CPU: {siege.painted_before} images before, {siege.painted_without} of "
        f"{siege.images} while no machine had one, then {siege.caught_up_seconds:g} s to catch up; "
        f"{siege.lost} lost, {siege.broken} broken"
    )


def _show_pool(pool: PoolFigures, out: Console) -> None:
    out.print(
        f"from no GPU machine: the first after {pool.first_machine_seconds:g} s, the first image "
        f"after {pool.first_image_seconds:g} s; {pool.most_machines} at once of {pool.wished} "
        f"wished and {pool.most} allowed; {pool.images} images by {pool.last_image_seconds:g} s"
    )
    when = "before" if pool.empty_before_end else "after"
    out.print(
        f"none again {pool.empty_seconds:g} s after the last image, {pool.idle_seconds:g} s of it "
        f"idle by order, {when} the CPUs' tail of {pool.cpu_tail_seconds:g} s ended; "
        f"{pool.lost} lost, {pool.broken} broken"
    )


def _show_spike(spike: ScheduledFloor, out: Console) -> None:
    out.print(
        f"by schedule, without work: the first machine {spike.first_before_seconds:g} s and all "
        f"{spike.floor} {spike.all_before_seconds:g} s before the window began, of a lead of "
        f"{spike.lead_seconds:g} s; never fewer than {spike.fewest_inside} nor more than "
        f"{spike.most_machines} of {spike.most} allowed; none {spike.gone_after_seconds:g} s after "
        f"its end, {spike.idle_seconds:g} s of it idle by order"
    )


def _show_replicas(replicas: Replicas, out: Console) -> None:
    table = Table("calls", "failed", "first answer", "all", "replicas", "none after", box=None)
    for burst in replicas.bursts:
        table.add_row(
            str(burst.calls), str(burst.failed), f"{burst.first_answer_seconds:g} s",
            f"{burst.all_answered_seconds:g} s", f"{burst.most_replicas} of {replicas.most}",
            f"{burst.idle_seconds:g} s",
        )  # fmt: skip
    out.print(table)
    out.print(f"replicas, one number after the other: {' '.join(map(str, replicas.course))}")
