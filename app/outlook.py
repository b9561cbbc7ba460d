"""The outlook of a plan: what it asks, what stands already, what the rest may take."""

from collections.abc import Mapping, Sequence

from app.estimate import Estimate, Forecast
from app.plan.schema import Budget
from app.plan.vocabulary import unknown_words
from app.prices import PriceSheet
from app.route import route
from app.store.catalog import Catalog
from app.types import AssetSpec, ModelVersion, Status, Value, version_of

STARTUP_SECONDS = 15.0
"""What starting Ray and loading the models takes on a small machine before the first image."""


class PlannedAsset(Value):
    """One row of the list: the asset, and what the catalog holds of it."""

    name: str
    version: str
    status: Status | None
    spec: AssetSpec


class Outlook(Value):
    """What running the plan now would mean."""

    plan: str
    asked: int
    standing: int
    to_make: int
    images_at_least: int
    images_at_most: int
    seconds: float | None
    """Until it is done, on this machine; None when nothing was ever measured."""
    estimate: Estimate | None
    warnings: tuple[str, ...]
    assets: tuple[PlannedAsset, ...]


def outlook(
    name: str,
    specs: Sequence[AssetSpec],
    models: Mapping[str, ModelVersion],
    catalog: Catalog,
    *,
    workers: int,
    prices: PriceSheet,
    budget: Budget | None = None,
) -> Outlook:
    """Resolve every asset against the catalog; raises NoRoute and OutOfBounds as a run would."""
    keys = {spec.name: route(spec, models).key(spec.digest) for spec in specs}
    found = catalog.asset_records(keys.values())
    assets = tuple(
        PlannedAsset(
            name=spec.name,
            version=version_of(keys[spec.name]),
            status=found[keys[spec.name]].status if keys[spec.name] in found else None,
            spec=spec,
        )
        for spec in specs
    )
    todo = [one.spec for one in assets if one.status in (None, Status.FAILED)]
    forecast = Forecast(models, catalog, prices)
    forecast.add_all(todo)
    estimate = forecast.estimate()
    work = estimate.seconds.expected if estimate else None
    return Outlook(
        plan=name,
        asked=len(specs),
        standing=len(specs) - len(todo),
        to_make=len(todo),
        images_at_least=sum(spec.candidates for spec in todo),
        images_at_most=sum(spec.attempts for spec in todo),
        seconds=None if work is None else work / workers + STARTUP_SECONDS,
        estimate=estimate,
        warnings=(*_warnings(specs, models), *_short(name, budget, estimate, catalog)),
        assets=assets,
    )


def _warnings(specs: Sequence[AssetSpec], models: Mapping[str, ModelVersion]) -> list[str]:
    """Prompts that a model was never taught: they will be made, and most likely rejected."""
    strange: dict[str, tuple[str, int]] = {}
    for spec in specs:
        for word in unknown_words(spec.request.prompt, models[spec.model].vocabulary):
            first, count = strange.get(word, (spec.name, 0))
            strange[word] = (first, count + 1)
    return [
        f"{word!r} is outside what the model knows (first in {first}, {count} assets): "
        "the agreement check will most likely reject them"
        for word, (first, count) in strange.items()
    ]


def _short(
    name: str, budget: Budget | None, estimate: Estimate | None, catalog: Catalog
) -> list[str]:
    """Whether the plan's budget may not suffice."""
    if budget is None or estimate is None:
        return []
    if estimate.cost_usd.high == 0:
        return [
            "nothing that the plan asks for has a price here, so its budget never ends it; "
            "name a price sheet in ATELIER_PRICES, or set ATELIER_USD_PER_HOUR"
        ]
    left = budget.usd - catalog.spent_of("plan", name)
    if estimate.cost_usd.high <= left:
        return []
    return [
        f"${max(left, 0):.4f} of the plan's budget of ${budget.usd:.4f} are left, and the rest may "
        f"cost up to ${estimate.cost_usd.high:.4f}; raise budget.usd, or ask for less"
    ]
