"""Renders forecasts, assets and exports for a person in a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from app.cli.output import make_console
from app.cli.render.costs import cost_band
from app.cli.tables import Table, escape, fact_table, styled
from app.types import AssetRecord, EngineSettings, Status

if TYPE_CHECKING:
    from app.assets.export import ExportResult
    from app.costs.forecast import PlanForecast

LISTED = 20
COLOURS = {
    Status.ACCEPTED: "green",
    Status.REVIEW: "yellow",
    Status.REJECTED: "red",
    Status.FAILED: "magenta",
}


def show_forecast(forecast: "PlanForecast") -> None:
    """Prints counts, estimate and warnings first, then the head of the list."""
    out = make_console()
    out.print(
        f"[bold]{escape(forecast.plan)}[/]: {forecast.asked} assets, {forecast.standing} stand "
        f"already, {forecast.to_make} to make"
    )
    if forecast.to_make:
        out.print(
            f"{forecast.images_at_least} images to begin with, {forecast.images_at_most} at most; "
            + _estimate(forecast)
        )
    for warning in forecast.warnings:
        out.print(f"[yellow]warning:[/] {escape(warning)}")
    out.print(_planned(forecast))
    if forecast.asked > LISTED:
        out.print(f"... and {forecast.asked - LISTED} more; --json lists them all")


def _estimate(forecast: "PlanForecast") -> str:
    if forecast.seconds is None or forecast.estimate is None:
        return "nothing was measured yet, so there is no estimate of time and cost"
    images = forecast.estimate.images
    return (
        f"likely {images.expected:.0f} ({images.low:.0f} to {images.high:.0f}); about "
        f"{_duration(forecast.seconds)} on this machine, {cost_band(forecast.estimate)}\n"
        f"estimated from {escape('; '.join(forecast.estimate.basis))}"
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _planned(forecast: "PlanForecast") -> Table:
    table = Table("name", "version", "kind", "sizes", "now", "prompt")
    for asset in forecast.assets[:LISTED]:
        status = _status(asset.status) if asset.status else "to make"
        sizes, prompt = " ".join(map(str, asset.spec.sizes)), asset.spec.request.prompt
        table.add(asset.name, asset.version, asset.spec.kind, sizes, status, prompt)
    return table


def _status(status: Status) -> Text:
    return styled(status, COLOURS[status])


def show_assets(records: Sequence[AssetRecord]) -> None:
    """Prints one row per version."""
    table = Table("name", "version", "status", "model", "attempts", "made", "reasons")
    for record in records:
        table.add(
            record.name, record.version, _status(record.status), record.model, record.attempts,
            record.created_at, "; ".join(record.reasons[:2]),
        )  # fmt: skip
    make_console().print(table if records else "no assets match")


def show_asset(record: AssetRecord) -> None:
    """Prints all that is known of one asset."""
    make_console().print(fact_table(_facts(record)))


def _facts(record: AssetRecord) -> list[tuple[str, str | Text]]:
    request = record.spec.request
    facts: list[tuple[str, str | Text]] = [
        ("asset", f"{record.name}@{record.version}"),
        ("status", _status(record.status)),
        ("prompt", request.prompt),
        ("model", record.model),
        ("made", f"{record.created_at}, attempt {record.attempts}, run {record.run_id}"),
    ]
    facts += [("again", str(retry)) for retry in record.retries]
    facts += [("reason", reason) for reason in record.reasons]
    if record.report:
        facts += [("score", f"{name} {score:.3f}") for name, score in record.report.scores.items()]
    if record.asset:
        facts += [
            ("file", f"{file.size} {file.format} {file.digest}") for file in record.asset.files
        ]
    if record.provenance:
        made = record.provenance
        facts += [
            ("seed", str(made.request.seed)),
            (
                "steps",
                f"{made.request.num_inference_steps} {made.request.sampler}, "
                f"guidance {made.request.guidance_scale:g}",
            ),
            ("engine", _engine(made.engine)),
            ("weights", made.weights_digest),
            ("finishing", ", ".join(made.finishing)),
            ("machine", f"{made.environment.processor}, Python {made.environment.python}"),
            ("libraries", ", ".join(f"{k} {v}" for k, v in made.environment.libraries.items())),
        ]
    return facts


def _engine(engine: EngineSettings | None) -> str:
    if engine is None:
        return "none"
    rows = "/".join(map(str, engine.row_buckets))
    same = "/".join(map(str, engine.exact_rows))
    proven = f" (the same bits at {same})" if same else ""
    return (
        f"{engine.mode}, {rows} rows{proven}, {engine.dtype} ({engine.rounding}) on "
        f"{engine.device}, attention {engine.attention}, {engine.threads} threads"
    )


def show_exported(exported: "ExportResult") -> None:
    """Prints how many files were written, and where."""
    out = make_console()
    for file in exported.files[:LISTED]:
        out.print(escape(file.path), soft_wrap=True)
    out.print(f"{len(exported.files)} files")
