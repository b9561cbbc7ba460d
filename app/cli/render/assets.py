"""How values are said to a person in a terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from app.assets.export import Exported
from app.cli.output import console
from app.cli.render.costs import expected
from app.costs.forecast import Outlook
from app.types import AssetRecord, EngineSettings, Status

LISTED = 20
COLOURS = {
    Status.ACCEPTED: "green",
    Status.REVIEW: "yellow",
    Status.REJECTED: "red",
    Status.FAILED: "magenta",
}


def show_outlook(outlook: Outlook) -> None:
    """Counts, estimate and warnings first, then the head of the list."""
    out = console()
    out.print(
        f"[bold]{escape(outlook.plan)}[/]: {outlook.asked} assets, {outlook.standing} stand "
        f"already, {outlook.to_make} to make"
    )
    if outlook.to_make:
        out.print(
            f"{outlook.images_at_least} images to begin with, {outlook.images_at_most} at most; "
            + _estimate(outlook)
        )
    for warning in outlook.warnings:
        out.print(f"[yellow]warning:[/] {escape(warning)}")
    out.print(_planned(outlook))
    if outlook.asked > LISTED:
        out.print(f"... and {outlook.asked - LISTED} more; --json lists them all")


def _estimate(outlook: Outlook) -> str:
    if outlook.seconds is None or outlook.estimate is None:
        return "nothing was measured yet, so there is no estimate of time and cost"
    images = outlook.estimate.images
    return (
        f"likely {images.expected:.0f} ({images.low:.0f} to {images.high:.0f}); about "
        f"{_duration(outlook.seconds)} on this machine, {expected(outlook.estimate)}\n"
        f"estimated from {escape('; '.join(outlook.estimate.basis))}"
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _planned(outlook: Outlook) -> Table:
    table = Table("name", "version", "kind", "sizes", "now", "prompt", box=None)
    for one in outlook.assets[:LISTED]:
        sizes = " ".join(map(str, one.spec.sizes))
        prompt = escape(one.spec.request.prompt)
        table.add_row(one.name, one.version, one.spec.kind, sizes, _status(one.status), prompt)
    return table


def _status(status: Status | None) -> str:
    return f"[{COLOURS[status]}]{status}[/]" if status else "to make"


def show_assets(records: Sequence[AssetRecord]) -> None:
    """One row per version."""
    table = Table("name", "version", "status", "model", "attempts", "made", "reasons", box=None)
    for one in records:
        reasons = escape("; ".join(one.reasons[:2]))
        table.add_row(
            one.name, one.version, _status(one.status), one.model, str(one.attempts),
            one.created_at, reasons,
        )  # fmt: skip
    console().print(table if records else "no assets match")


def show_asset(record: AssetRecord) -> None:
    """All there is to know of one asset."""
    table = Table(box=None, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for label, text in _facts(record):
        table.add_row(label, text if label == "status" else escape(text))
    console().print(table)


def _facts(record: AssetRecord) -> list[tuple[str, str]]:
    request = record.spec.request
    facts = [
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


def show_exported(exported: Exported) -> None:
    """How many files went where."""
    out = console()
    for file in exported.files[:LISTED]:
        out.print(file.path, soft_wrap=True, markup=False)
    out.print(f"{len(exported.files)} files")
