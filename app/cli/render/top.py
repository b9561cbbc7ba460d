"""Renders runs under way, a service, and a report of runs for a person in a terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from app.cli.output import make_console
from app.cli.tables import Cell, Table, number, plain, right, styled, usd
from app.monitor.report import Report, RunFigures, TotalFigures
from app.monitor.service_metrics import BulkMetrics, ServiceSnapshot
from app.monitor.top import ActiveRun, Frame, ModelProgress
from app.store.run_statistics import RefusalCount

RULES = 6
DAYS = 40


def screen(frame: Frame, service: ServiceSnapshot | None) -> RenderableType:
    """Returns one frame: alerts first, then every run with its models, budgets, and the service."""
    alerts = [
        styled(f"{alert.trouble.value}: {alert.message}", "bold red") for alert in frame.alerts
    ]
    runs = [_run(run) for run in frame.runs] or [Text("no run is under way")]
    budgets = [
        plain(f"budget of {budget.name}: ${budget.left_usd:.4f} left of ${budget.cap_usd:.4f}")
        for budget in frame.budgets
    ]
    return Group(
        Text(f"atelier top {frame.at}", style="dim"),
        *alerts,
        *runs,
        *budgets,
        *([_service(service)] if service else []),
    )


def show_report(report: Report) -> None:
    """Prints the figures of every run and of all together, then what was refused, by day."""
    out = make_console()
    if not report.runs:
        out.print("no run was begun here yet")
        return
    table = Table(
        "run", "plan", "images", "images an hour", "% errors", "USD an image",
        "s until half is delivered", "95 in 100", "all",
    )  # fmt: skip
    for run in report.runs:
        times = run.delivery.half, run.delivery.most, run.delivery.last
        table.add(run.run_id, run.plan, *_figures(run), *(number(s, ".1f") for s in times))
    half = number(report.together.delivery_seconds, ".1f")
    table.add(styled("together", "bold"), "", *_figures(report.together), half, "", "")
    out.print(table)
    out.print(_refused(report.refused) if report.refused else "no rule spoke against anything")


def _run(run: ActiveRun) -> RenderableType:
    of = f" of {run.asked}" if run.asked is not None else ""
    left = f", about {clock(run.left_seconds)} left" if run.left_seconds is not None else ""
    head = styled(run.run_id, "bold") + plain(
        f" of {run.plan}: {run.decided}{of} decided, {run.images} images, "
        f"{run.attempts_under_way} at work, ${run.cost_usd:.4f}, {clock(run.seconds)}{left}"
    )
    table = Table(
        "model", "images", "a minute", "accepted", "review", "rejected", "failed", "errors",
        "lost", "USD", "broken rules",
    )  # fmt: skip
    for model in run.models:
        table.add(*_counts(model), _rules(run, model.model))
    return Group(head, table) if run.models else head


def _counts(model: ModelProgress) -> tuple[Cell, ...]:
    return (
        model.model, model.images, number(model.images_per_minute, ".0f"), model.accepted,
        model.review, model.rejected, model.gave_up, model.failed, model.lost, usd(model.cost_usd),
    )  # fmt: skip


def _rules(run: ActiveRun, model: str) -> str:
    spoke = [hit for hit in run.rules if hit.model == model]
    return ", ".join(f"{hit.measure} {hit.verdict} {hit.times}" for hit in spoke[:RULES])


def _service(service: ServiceSnapshot) -> RenderableType:
    if service.problem:
        return plain(f"service {service.url}: {service.problem}")
    replicas = ", ".join(f"{role} {n:.0f}" for role, n in sorted(service.replicas.items()))
    mean = f", {service.mean_seconds:.2f} s a call" if service.mean_seconds is not None else ""
    head = plain(
        f"service {service.url}: interactive {service.in_flight:.0f} images in flight, "
        f"{service.waiting:.0f} waiting{mean}; {_bulk(service.bulk)}"
        f"{f'; replicas: {replicas}' if replicas else ''}"
    )
    table = Table("role", "model", "answered", "refused", "shed", "images")
    for model in service.models:
        numbers = (model.answered, model.refused, model.shed, model.images)
        names = (model.role or "(none)", model.model or "(none)")
        table.add(*names, *map(int, numbers))
    return Group(head, table) if service.models else head


def _bulk(bulk: BulkMetrics) -> str:
    return (
        f"bulk {bulk.in_flight:.0f} in flight, {bulk.waiting:.0f} waiting, "
        f"{bulk.answered:.0f} answered, {bulk.shed:.0f} shed"
    )


def _figures(figures: RunFigures | TotalFigures) -> tuple[Cell, ...]:
    return (
        figures.images, number(figures.images_per_hour, ".0f"),
        number(figures.error_percent, ".2f"), usd(figures.usd_per_image),
    )  # fmt: skip


def _refused(refused: Sequence[RefusalCount]) -> Table:
    table = Table("day", "model", "rule", "verdict", "times", "of its assets")
    for refusal in refused[:DAYS]:
        table.add(
            refusal.day, refusal.model, refusal.measure, refusal.verdict, refusal.times,
            right(f"{refusal.times} in {refusal.assets}"),
        )  # fmt: skip
    return table


def clock(seconds: float) -> str:
    """Formats seconds as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
