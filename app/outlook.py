"""The outlook of a plan: what it asks, what stands already, what the rest may take."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from app.plan.vocabulary import unknown_words
from app.route import route
from app.store.catalog import Catalog
from app.types import AssetSpec, ModelVersion, Status, Value, version_of

SAMPLE = 200
STARTUP_SECONDS = 15.0
"""What starting Ray and loading the models takes on a small machine before the first image."""


class PlannedAsset(Value):
    """One row of the list: the asset, and what the catalog holds of it."""

    name: str
    version: str
    status: Status | None
    spec: AssetSpec


class Outlook(Value):
    """What running the plan now would mean; times and costs are for a first round of candidates."""

    plan: str
    asked: int
    standing: int
    to_make: int
    images_at_least: int
    images_at_most: int
    seconds: float | None
    cost_usd: float | None
    warnings: tuple[str, ...]
    assets: tuple[PlannedAsset, ...]


def outlook(
    name: str,
    specs: Sequence[AssetSpec],
    models: Mapping[str, ModelVersion],
    catalog: Catalog,
    *,
    workers: int,
    usd_per_hour: float,
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
    seconds = _seconds(todo, models, catalog)
    return Outlook(
        plan=name,
        asked=len(specs),
        standing=len(specs) - len(todo),
        to_make=len(todo),
        images_at_least=sum(spec.candidates for spec in todo),
        images_at_most=sum(spec.attempts for spec in todo),
        seconds=None if seconds is None else seconds / workers + STARTUP_SECONDS * bool(todo),
        cost_usd=None if seconds is None else seconds * usd_per_hour / 3600,
        warnings=tuple(_warnings(specs, models)),
        assets=assets,
    )


def _seconds(
    todo: Sequence[AssetSpec], models: Mapping[str, ModelVersion], catalog: Catalog
) -> float | None:
    """Seconds of one worker for the first candidates; None when nothing was ever measured."""
    total = 0.0
    for reference in sorted({spec.model for spec in todo}):
        model = models[reference]
        each = _measured(model, catalog) or model.seconds_per_image
        if each is None:
            return None
        total += each * sum(spec.candidates for spec in todo if spec.model == reference)
    return total


def _measured(model: ModelVersion, catalog: Catalog) -> float | None:
    """The mean over a sample of what these weights made here; None when they made nothing."""
    sample = catalog.find_images(weights_digest=model.weights_digest, limit=SAMPLE)
    return fmean(image.seconds for image in sample) if sample else None


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
