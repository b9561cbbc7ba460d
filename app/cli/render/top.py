"""Renders runs under way, a service, and a report of runs for a person in a terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from app.cli.output import make_console
from app.monitor.report import Report, RunFigures
from app.monitor.service_metrics import BulkMetrics, ServiceSnapshot
from app.monitor.top import ActiveRun, Frame, ModelProgress
from app.store.run_statistics import RefusalCount

RULES = 6
DAYS = 40


def screen(frame: Frame, service: ServiceSnapshot | None) -> RenderableType:
    """Returns one frame: alerts first, then every run with its models, budgets, and the service."""
    alerts = [
        Text(f"{alert.trouble.value}: {alert.message}", style="bold red") for alert in frame.alerts
    ]
    runs = [_run(run) for run in frame.runs] or [Text("no run is under way")]
    budgets = [
        Text(f"budget of {budget.name}: ${budget.left_usd:.4f} left of ${budget.cap_usd:.4f}")
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
        "run", "plan", "images", "images an hour", "errors", "USD an image", "half delivered",
        "95 in 100", "all", box=None,
    )  # fmt: skip
    for run in report.runs:
        table.add_row(run.run_id, escape(run.plan), *_figures(run))
    together = report.together
    table.add_row(
        "[bold]together[/]", "", str(together.images), _number(together.images_per_hour, "{:.0f}"),
        _number(together.error_percent, "{:.2f}%"), _number(together.usd_per_image, "${:.6f}"),
        _number(together.delivery_seconds, "{:.1f} s"), "", "",
    )  # fmt: skip
    out.print(table)
    out.print(_refused(report.refused) if report.refused else "no rule spoke against anything")


def _run(run: ActiveRun) -> RenderableType:
    of = f" of {run.asked}" if run.asked is not None else ""
    left = f", about {clock(run.left_seconds)} left" if run.left_seconds is not None else ""
    head = Text.assemble(
        (run.run_id, "bold"),
        f" of {run.plan}: {run.decided}{of} decided, {run.images} images, "
        f"{run.attempts_under_way} at work, ${run.cost_usd:.4f}, {clock(run.seconds)}{left}",
    )
    table = Table(
        "model", "images", "a minute", "accepted", "review", "rejected", "failed", "errors",
        "lost", "USD", "rules that spoke", box=None,
    )  # fmt: skip
    for model in run.models:
        table.add_row(*_makes(model), _rules(run, model.model))
    return Group(head, table) if run.models else head


def _makes(model: ModelProgress) -> tuple[str, ...]:
    counts = (model.accepted, model.review, model.rejected, model.gave_up, model.failed, model.lost)
    return (
        escape(model.model), str(model.images), f"{model.images_per_minute:.0f}",
        *map(str, counts), f"{model.cost_usd:.4f}",
    )  # fmt: skip


def _rules(run: ActiveRun, model: str) -> str:
    spoke = [hit for hit in run.rules if hit.model == model]
    return ", ".join(f"{hit.measure} {hit.verdict} {hit.times}" for hit in spoke[:RULES])


def _service(service: ServiceSnapshot) -> RenderableType:
    if service.problem:
        return Text(f"service {service.url}: {service.problem}")
    replicas = ", ".join(f"{role} {n:.0f}" for role, n in sorted(service.replicas.items()))
    mean = f", {service.mean_seconds:.2f} s a call" if service.mean_seconds is not None else ""
    head = Text(
        f"service {service.url}: interactive {service.in_flight:.0f} images in flight, "
        f"{service.waiting:.0f} waiting{mean}; {_bulk(service.bulk)}"
        f"{f'; replicas: {replicas}' if replicas else ''}"
    )
    table = Table("role", "model", "answered", "refused", "shed", "images", box=None)
    for model in service.models:
        numbers = (model.answered, model.refused, model.shed, model.images)
        names = (model.role or "(none)", escape(model.model) or "(none)")
        table.add_row(*names, *(f"{n:.0f}" for n in numbers))
    return Group(head, table) if service.models else head


def _bulk(bulk: BulkMetrics) -> str:
    return (
        f"bulk {bulk.in_flight:.0f} in flight, {bulk.waiting:.0f} waiting, "
        f"{bulk.answered:.0f} answered, {bulk.shed:.0f} shed"
    )


def _figures(run: RunFigures) -> tuple[str, ...]:
    delivery = run.delivery
    return (
        str(run.images),
        _number(run.images_per_hour, "{:.0f}"),
        _number(run.error_percent, "{:.2f}%"),
        _number(run.usd_per_image, "${:.6f}"),
        *(
            _number(seconds, "{:.1f} s")
            for seconds in (delivery.half, delivery.most, delivery.last)
        ),
    )


def _refused(refused: Sequence[RefusalCount]) -> Table:
    table = Table("day", "model", "rule", "verdict", "times", "of its assets", box=None)
    for refusal in refused[:DAYS]:
        share = f"{refusal.times} in {refusal.assets}"
        table.add_row(
            refusal.day,
            escape(refusal.model),
            refusal.measure,
            refusal.verdict,
            str(refusal.times),
            share,
        )
    return table


def _number(number: float | None, form: str) -> str:
    return "-" if number is None else form.format(number)


def clock(seconds: float) -> str:
    """Formats seconds as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
