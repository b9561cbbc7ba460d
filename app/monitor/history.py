"""The history of runs: their assets, results, times and costs."""

from collections import Counter

from pydantic import JsonValue

from app.costs.estimate import Estimate
from app.store.catalog import Catalog, RunRecord
from app.types import AssetRecord, Status, Value


class RunAsset(Value):
    """One asset that a run decided."""

    name: str
    version: str
    status: Status
    attempts: int
    seconds: float
    """Seconds to generate the image that was chosen."""
    cost_usd: float
    reasons: tuple[str, ...]


class RunHistory(Value):
    """One run and the assets it decided; existing assets are only counted."""

    run: RunRecord
    state: str
    """ended, stopped (the same command continues it), or begun: still running or killed."""
    fates: dict[Status, int]
    cost_usd: float
    seconds: float
    """Of all its attempts, from the ledger."""
    estimate: Estimate | None
    """The estimate from when it began; None when there was none, or the run has not ended."""
    budget: str
    """The budget that stopped assets, if one did."""
    assets: tuple[RunAsset, ...]


def history(catalog: Catalog, run_id: str) -> RunHistory:
    """Returns all that is known of a run. Raises CatalogError for an unknown id."""
    run = catalog.run(run_id)
    summary = run.summary or {}
    spent = catalog.run_spending(run_id)
    assets = tuple(_asset(record) for record in catalog.find_assets(run_id=run_id))
    return RunHistory(
        run=run,
        state=state_of(run),
        fates=dict(Counter(asset.status for asset in assets)),
        cost_usd=_number(run, "cost_usd", spent.cost_usd),
        seconds=spent.seconds,
        estimate=Estimate.model_validate(summary["estimate"]) if summary.get("estimate") else None,
        budget=str(summary.get("budget", "")),
        assets=assets,
    )


def state_of(run: RunRecord) -> str:
    """Returns begun, stopped or ended."""
    if run.summary is None:
        return "begun"
    return "stopped" if run.summary.get("stopped") else "ended"


def _asset(record: AssetRecord) -> RunAsset:
    return RunAsset(
        name=record.name,
        version=record.version,
        status=record.status,
        attempts=record.attempts,
        seconds=record.image.seconds if record.image else 0,
        cost_usd=record.image.cost_usd if record.image else 0,
        reasons=record.reasons,
    )


def _number(run: RunRecord, name: str, otherwise: float) -> float:
    value: JsonValue = (run.summary or {}).get(name)
    return float(value) if isinstance(value, int | float) else otherwise
