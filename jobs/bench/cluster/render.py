"""Prints the elastic cluster's figures."""

from collections.abc import Iterator

from rich.console import Console

from app.cli.output import make_console
from app.cli.tables import Table, escape, percent, right
from jobs.bench.cluster.bench import ClusterFigures, Extent, Section, bench_cluster
from jobs.bench.cluster.cpu_loss import CpuLoss
from jobs.bench.cluster.exposure import HEALTH, Exposure, stated_reason
from jobs.bench.cluster.pool import PoolFigures
from jobs.bench.cluster.port_scan import Port
from jobs.bench.cluster.replicas import Replicas
from jobs.bench.cluster.scheduled_floor import ScheduledFloor
from jobs.bench.harness import Benchmark, Goal, at_least


def show_exposure(exposure: Exposure, out: Console) -> None:
    """Prints a row for each socket, and then what is open besides health, and why."""
    table = Table(
        "process", "listens at", "reachable from", "protocol", "refused", "absent", "health",
        "stated", "unexpected",
    )  # fmt: skip
    for port in exposure.doors:
        table.add(*_row(exposure, port))
    out.print(
        f"calls without credentials: {exposure.routes} routes; the token's file has mode "
        f"{exposure.token_mode}"
    )
    out.print(table)
    stated = {stated_reason(name) for port in exposure.doors for name in port.opened} - {""}
    for why in sorted(stated):
        out.print(f"stated: {why}")
    for port in exposure.doors:
        for name in exposure.unexpected(port):
            where = escape(f"{port.address}:{port.port}, {port.process}: {name}")
            out.print(f"[bold red]open at {where}[/]")


def _row(exposure: Exposure, port: Port) -> list[str | int]:
    health = sum(name in HEALTH for name in port.opened)
    stated = sum(bool(stated_reason(name)) for name in port.opened)
    counts = (port.refused, port.absent, health, stated, len(exposure.unexpected(port)))
    where = f"{port.address}:{port.port}"
    return [port.process, where, port.reachable_from, port.speaks, *counts]


GOAL = 0.95
"""The share of the machines' time that should go into images while all of them work."""


def show_cluster_figures(figures: ClusterFigures) -> None:
    """Prints a table for each section that ran, and the load of this machine meanwhile."""
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
        _show_schedule(figures.schedule, out)
    if figures.replicas:
        _show_replicas(figures.replicas, out)
    if figures.exposure:
        show_exposure(figures.exposure, out)
    for load in figures.loads:
        out.print(
            f"[dim]{load.section}: load {load.before:.1f} before, {load.after:.1f} after, "
            f"on {load.cores} cores[/]"
        )


def cluster_goals(figures: ClusterFigures) -> Iterator[Goal]:
    """Yields the invariants of all sections as one, and the goal of scaling."""
    yield Goal("every counter that must be 0 is 0", figures.holds, required=True)
    if figures.scaling:
        last = figures.scaling[-1]
        name = f"the time of {last.nodes} nodes that goes into images while all work"
        yield at_least(name, last.steady_efficiency, GOAL, ".1%")


def _show_scaling(figures: ClusterFigures, out: Console) -> None:
    table = Table("nodes", "images", "first image", "all made", "run", "steady", "whole")
    for scale in figures.scaling:
        table.add(
            scale.nodes, scale.images, right(f"{scale.first_image_seconds:g} s"),
            right(f"{scale.making_seconds:g} s"), right(f"{scale.total_seconds:g} s"),
            percent(scale.steady_efficiency), percent(scale.whole_efficiency),
        )  # fmt: skip
    out.print(f"an image sleeps {figures.image_seconds:g} s in place of a GPU's time")
    out.print(table)


def _show_disrupted_runs(figures: ClusterFigures, out: Console) -> None:
    table = Table(
        "disruptions", "nodes", "images", "lost", "made after commit", "made twice", "other",
        "added", "drained in",
    )  # fmt: skip
    for result in figures.storms:
        table.add(
            ", ".join(f"{count} {kind}" for kind, count in result.blows.items()), result.nodes,
            result.images, result.lost, result.painted_after_commit, result.painted_again,
            result.other_results + result.other_breaks,
            right(f"{result.added_seconds:g} s of {result.seconds:g} s"),
            right("" if result.leave_seconds is None else f"{result.leave_seconds:g} s"),
        )  # fmt: skip
    out.print(table)


def _show_widths(figures: ClusterFigures, out: Console) -> None:
    table = Table("nodes", "images", "files", "files' digest", "rows' digest")
    for width in figures.widths:
        table.add(
            width.nodes, width.images, width.files,
            width.files_digest[:16], width.rows_digest[:16],
        )  # fmt: skip
    out.print(table)
    out.print("the same bytes" if figures.same_bytes else "[bold red]other bytes[/]")


def _show_cpu_loss(loss: CpuLoss, out: Console) -> None:
    out.print(
        f"without a CPU: {loss.painted_before} images before, {loss.painted_without} of "
        f"{loss.images} while no machine had one, then {loss.caught_up_seconds:g} s to catch up; "
        f"{loss.lost} lost, {loss.broken} broken"
    )


def _show_pool(pool: PoolFigures, out: Console) -> None:
    out.print(
        f"from no GPU machine: the first after {pool.first_machine_seconds:g} s, the first image "
        f"after {pool.first_image_seconds:g} s; {pool.most_machines} at once of {pool.wished} "
        f"requested and {pool.most} allowed; {pool.images} images by {pool.last_image_seconds:g} s"
    )
    when = "before" if pool.empty_before_end else "after"
    out.print(
        f"all removed {pool.empty_seconds:g} s after the last image, {pool.idle_seconds:g} s of "
        f"it the idle timeout, {when} the CPU stages ended {pool.cpu_tail_seconds:g} s after it; "
        f"{pool.lost} lost, {pool.broken} broken"
    )


def _show_schedule(window: ScheduledFloor, out: Console) -> None:
    out.print(
        f"by schedule, without work: the first machine {window.first_before_seconds:g} s and all "
        f"{window.floor} {window.all_before_seconds:g} s before the window began, of a lead of "
        f"{window.lead_seconds:g} s; never fewer than {window.fewest_inside} nor more than "
        f"{window.most_machines} of {window.most} allowed; all removed "
        f"{window.gone_after_seconds:g} s after its end, {window.idle_seconds:g} s of it the idle "
        "timeout"
    )


def _show_replicas(replicas: Replicas, out: Console) -> None:
    table = Table("calls", "failed", "first answer", "all", "replicas", "none after")
    for burst in replicas.bursts:
        table.add(
            burst.calls, burst.failed, right(f"{burst.first_answer_seconds:g} s"),
            right(f"{burst.all_answered_seconds:g} s"),
            right(f"{burst.most_replicas} of {replicas.most}"), right(f"{burst.idle_seconds:g} s"),
        )  # fmt: skip
    out.print(table)
    out.print(f"replicas over time: {' '.join(map(str, replicas.course))}")


BENCHMARK = Benchmark(
    full=Extent(
        sections=tuple(Section), nodes=(1, 2, 4, 8), images_each=48, image_seconds=2,
        run_nodes=4, run_images=400, run_image_seconds=1, disruptions=20, assets=24,
        cpu_loss_images=60, pool_images=60, burst_calls=60,
    ),
    quick=Extent(
        sections=(Section.KILLS,), nodes=(1, 2), images_each=16, image_seconds=1,
        run_nodes=2, run_images=24, run_image_seconds=0.5, disruptions=1, assets=6,
        cpu_loss_images=24, pool_images=24, burst_calls=24,
    ),
    measure=bench_cluster,
    show=show_cluster_figures,
    goals=cluster_goals,
)  # fmt: skip
