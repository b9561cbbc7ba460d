"""The forecast of a plan: which of its assets exist, and the time and cost of the rest."""

from collections.abc import Mapping, Sequence

from app.costs.estimate import Estimate, Estimator
from app.flow.prepare import PreparedPlan
from app.plan.schema import Plan
from app.plan.templates import unknown_words
from app.route.router import ModelRouter, asset_key
from app.store.catalog import Catalog
from app.types import AssetSpec, ModelVersion, Status, Value, version_of

STARTUP_SECONDS = 15.0
"""Seconds to start Ray and load the models on a small machine before the first image."""


class PlannedAsset(Value):
    """One row of the list: the asset, and its status in the catalog."""

    name: str
    version: str
    status: Status | None
    spec: AssetSpec


class PlanForecast(Value):
    """What running the plan now would do."""

    plan: str
    asked: int
    standing: int
    to_make: int
    images_at_least: int
    images_at_most: int
    seconds: float | None
    """Until it is done, on this machine; None when nothing was measured yet."""
    estimate: Estimate | None
    warnings: tuple[str, ...]
    assets: tuple[PlannedAsset, ...]


def forecast_plan(prepared: PreparedPlan, catalog: Catalog, *, workers: int) -> PlanForecast:
    """Looks up every asset in the catalog and forecasts the rest. Makes nothing."""
    plan, models, prices = prepared.plan, prepared.models, prepared.prices
    forecast = Estimator(models, catalog, prices)
    routing = ModelRouter(plan.route, models, catalog, prices, keeps=False) if plan.route else None
    assets = _planned(list(prepared.assets()), models, catalog, forecast, routing)
    specs = [asset.spec for asset in assets]
    todo = [asset.spec for asset in assets if asset.status in (None, Status.FAILED)]
    estimate = forecast.estimate()
    work = estimate.seconds.expected if estimate else None
    return PlanForecast(
        plan=plan.name,
        asked=len(specs),
        standing=len(specs) - len(todo),
        to_make=len(todo),
        images_at_least=sum(spec.candidates for spec in todo),
        images_at_most=sum(spec.attempts for spec in todo),
        seconds=None if work is None else work / workers + STARTUP_SECONDS,
        estimate=estimate,
        warnings=(*_warnings(specs, models), *_budget_warning(plan, estimate, catalog)),
        assets=assets,
    )


def _planned(
    expanded: Sequence[tuple[AssetSpec, ...]],
    models: Mapping[str, ModelVersion],
    catalog: Catalog,
    forecast: Estimator,
    routing: ModelRouter | None,
) -> tuple[PlannedAsset, ...]:
    """Returns the rows of the list; adds what is still to be made to the forecast."""
    keys = [asset_key(variants, models) for variants in expanded]
    records = catalog.asset_records(keys)
    assets = []
    for variants, key in zip(expanded, keys, strict=True):
        status = records[key].status if key in records else None
        spec = records[key].spec if key in records else variants[0]
        if status in (None, Status.FAILED):
            spec = _forecast(variants, key, forecast, routing)
        version = version_of(key)
        assets.append(PlannedAsset(name=spec.name, version=version, status=status, spec=spec))
    return tuple(assets)


def _forecast(
    variants: tuple[AssetSpec, ...], key: str, forecast: Estimator, routing: ModelRouter | None
) -> AssetSpec:
    """Forecasts one asset; returns its spec for the model that would be used first."""
    if routing is None or len(variants) == 1:
        forecast.add_all(variants[:1])
        return variants[0]
    plan = routing.choose(variants, key).plan
    forecast.expect(plan.images, plan.seconds, plan.usd)
    return next(spec for spec in variants if spec.model == plan.rungs[0].name)


def _warnings(specs: Sequence[AssetSpec], models: Mapping[str, ModelVersion]) -> list[str]:
    """Returns warnings for prompts with words that a model does not know: likely rejected."""
    strange: dict[str, tuple[str, int]] = {}
    for spec in (spec for spec in specs if spec.request.strength > 0):  # else nothing is rendered
        for word in unknown_words(spec.request.prompt, models[spec.model].vocabulary):
            first, count = strange.get(word, (spec.name, 0))
            strange[word] = (first, count + 1)
    return [
        f"{word!r} is unknown to the model (first in {first}, {count} assets): "
        "the agreement check will most likely reject them"
        for word, (first, count) in strange.items()
    ]


def _budget_warning(plan: Plan, estimate: Estimate | None, catalog: Catalog) -> list[str]:
    """Returns a warning when the plan's budget may not suffice."""
    budget = plan.budget
    if budget is None or estimate is None:
        return []
    if estimate.cost_usd.high == 0:
        return [
            "no model of the plan has a price, so the budget has no effect; "
            "name a price sheet in ATELIER_PRICES, or set ATELIER_USD_PER_HOUR"
        ]
    left = budget.usd - catalog.spent_usd("plan", plan.name)
    if estimate.cost_usd.high <= left:
        return []
    return [
        f"${max(left, 0):.4f} of the plan's budget of ${budget.usd:.4f} are left, and the rest may "
        f"cost up to ${estimate.cost_usd.high:.4f}; raise budget.usd, or remove assets"
    ]
