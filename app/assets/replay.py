"""Replay: renders an asset again from its provenance alone and reports what differs, and why.

It compares what a new run on this machine would make now with the record: model files, libraries,
engine settings and finishing steps. Nothing is stored.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import groupby

import numpy as np

from app.backends import Backend
from app.engine.pipeline import Pixels
from app.engine.results import FailedRequest, RenderedImage
from app.errors import AtelierError
from app.finish.finish import finish, finishing_of
from app.generate.provenance import flatten_provenance, provenance_of
from app.generate.renderer import find_route
from app.image.png import read_png
from app.store.publish import Store
from app.types import AssetRecord, GeneratedImage, ModelVersion, Provenance, Route, Value

TOLERANCE = 1.0
"""Root mean square over all channels, in levels of 255; smaller differences are invisible."""


NAMED = frozenset({"environment.processor", "environment.blas_mode"})
"""Fields whose values are reported, because they identify another machine."""


class ReplayVerdict(StrEnum):
    """How close a replay is to what is stored."""

    IDENTICAL = "identical"
    WITHIN_TOLERANCE = "within tolerance"
    DIFFERS = "differs"


class ProvenanceChange(Value):
    """One field of the provenance that changed."""

    field: str
    then: str
    now: str

    def __str__(self) -> str:
        """Returns the change in a few words, with both values for the fields in `NAMED`."""
        values = f" from {self.then} to {self.now}" if self.field in NAMED else ""
        return f"{self.field} changed{values}"


class ReplayResult(Value):
    """The outcome of rendering one asset again."""

    name: str
    version: str
    sameness: ReplayVerdict
    difference: float
    """Root mean square over the generated image and its finished files, in levels of 255."""
    changes: tuple[ProvenanceChange, ...]
    error: str = ""

    def __str__(self) -> str:
        """Returns the outcome in one sentence."""
        because = ", ".join(map(str, self.changes))
        if self.error:
            return f"differs: {self.error}" + (f" ({because})" if because else "")
        if self.sameness is ReplayVerdict.IDENTICAL:
            return "identical" + (f", although {because}" if because else "")
        if self.sameness is ReplayVerdict.WITHIN_TOLERANCE:
            return f"within tolerance ({self.difference:.3f})" + (f": {because}" if because else "")
        return f"differs ({self.difference:.1f}) because " + (
            because or "of something that provenance does not record"
        )


def replay(
    records: Iterable[AssetRecord],
    models: Mapping[str, ModelVersion],
    store: Store,
    backend: Callable[[Route], Backend],
    *,
    tolerance: float = TOLERANCE,
) -> Iterator[ReplayResult]:
    """Yields one result per asset that has an image, ordered by model; each backend loads once.

    Errors of an asset or a model are reported in the results.
    """
    with_image = [record for record in records if record.image is not None]
    for model, group in groupby(sorted(with_image, key=_model), key=_model):
        try:
            route = find_route(model, models)
            loaded = backend(route)
        except AtelierError as error:
            yield from (_failed(record, str(error), ()) for record in group)
            continue
        for record in group:
            yield _replayed(record, route, loaded, store, tolerance)


def _model(record: AssetRecord) -> str:
    return record.model


def _replayed(
    record: AssetRecord, route: Route, backend: Backend, store: Store, tolerance: float
) -> ReplayResult:
    image = _image(record)
    twin = _like_record(record, image.provenance)
    then = record.provenance or twin
    (outcome,) = backend.generate([then.request])
    if isinstance(outcome, FailedRequest):
        return _failed(record, str(outcome.error), _changes(then, twin))
    now = _like_record(record, provenance_of(outcome, route, attempt=then.attempt))
    changes = _changes(then, twin, now)
    try:
        difference = _difference(record, outcome, store)
    except AtelierError as error:
        return _failed(record, str(error), changes)
    return ReplayResult(
        name=record.name,
        version=record.version,
        sameness=_sameness(difference, tolerance),
        difference=difference,
        changes=changes,
    )


def _image(record: AssetRecord) -> GeneratedImage:
    assert record.image is not None
    return record.image


def _like_record(record: AssetRecord, provenance: Provenance) -> Provenance:
    """Returns an image's provenance in the form of its finished asset's record."""
    if record.asset is None:
        return provenance
    return provenance.replace(
        finishing=finishing_of(provenance.request), parent=_image(record).digest
    )


def _changes(then: Provenance, *others: Provenance) -> tuple[ProvenanceChange, ...]:
    """Returns the fields that differ in the image's own row (altered?) or in the new render."""
    before = flatten_provenance(then)
    changes: dict[str, ProvenanceChange] = {}
    for after in map(flatten_provenance, others):
        for field in before.keys() | after.keys():
            was, is_now = before.get(field, "absent"), after.get(field, "absent")
            if was != is_now:
                changes[field] = ProvenanceChange(field=field, then=was, now=is_now)
    return tuple(changes[field] for field in sorted(changes))


def _difference(record: AssetRecord, outcome: RenderedImage, store: Store) -> float:
    """Returns the largest root mean square difference of the image and of each finished file."""
    stored = [(outcome.pixels, read_png(store.blobs.get(_image(record).digest)))]
    if record.asset is not None:
        finished = finish(
            outcome.pixels,
            record.spec.sizes,
            pivot=record.spec.pivot,
            text=bool(outcome.request.text_layers),
        )
        stored += [
            (now.pixels, read_png(store.blobs.get(then.digest)))
            for now, then in zip(finished, record.asset.files, strict=True)
        ]
    return max(_distance(now, then) for now, then in stored)


def _distance(now: Pixels, then: Pixels) -> float:
    if now.shape != then.shape:
        return 255.0
    return float(np.sqrt(np.mean((now.astype(float) - then.astype(float)) ** 2)))


def _sameness(difference: float, tolerance: float) -> ReplayVerdict:
    if difference == 0:
        return ReplayVerdict.IDENTICAL
    return ReplayVerdict.WITHIN_TOLERANCE if difference <= tolerance else ReplayVerdict.DIFFERS


def _failed(record: AssetRecord, error: str, changes: tuple[ProvenanceChange, ...]) -> ReplayResult:
    return ReplayResult(
        name=record.name,
        version=record.version,
        sameness=ReplayVerdict.DIFFERS,
        difference=255.0,
        changes=changes,
        error=error,
    )
