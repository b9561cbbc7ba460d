"""Micro-batches: what one row carries from stage to stage, and how requests are put together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from app.attempt import Candidate, Decision, Outcome
from app.types import AssetRecord, AssetSpec, FinishedFile, GenerationRequest, Route, Turn, Value

REQUESTS_PER_BATCH = 32


class Asked(Value):
    """An asset and the candidates asked for now."""

    spec: AssetSpec
    requests: tuple[GenerationRequest, ...]
    keeps_latents: bool = False
    """Whether another model may go on from them."""


class Generated(Value):
    """The same asset with what became of each request."""

    spec: AssetSpec
    outcomes: tuple[Outcome, ...]


class Examined(Value):
    """The asset's name with its candidates as the checks saw them."""

    name: str
    candidates: tuple[Candidate, ...]


class Decided(Value):
    """An asset whose fate is known, to be finished and published; `index` is its place."""

    index: int
    key: str
    spec: AssetSpec
    decision: Decision
    attempts: int
    turns: tuple[Turn, ...] = ()
    explained: str | None = None


class AskedBatch(Value):
    """One row for the generate stage: one model, one size."""

    route: Route
    items: tuple[Asked, ...]


class GeneratedBatch(Value):
    """One row for the check stage."""

    route: Route
    items: tuple[Generated, ...]


class ExaminedBatch(Value):
    """One row back to the driver."""

    items: tuple[Examined, ...]


class DecidedBatch(Value):
    """One row for the finish stage."""

    route: Route
    items: tuple[Decided, ...]


class CompletedBatch(Value):
    """One row back to the driver: the catalog's records, and what could not be published."""

    records: tuple[AssetRecord, ...]
    errors: dict[str, str]


class SpriteFile(Value):
    """A finished file under the name that engines will know it by."""

    name: str
    file: FinishedFile


def asked_batches(
    asked: Sequence[Asked], routes: Mapping[str, Route], *, workers: int
) -> Iterator[AskedBatch]:
    """Requests of one model, size and text side by side, in rows that keep every worker busy."""
    ordered = sorted(asked, key=_bucket)
    total = sum(len(item.requests) for item in asked)
    limit = min(max(total // (workers * 4), 8), REQUESTS_PER_BATCH)
    for _, bucket in groupby(ordered, key=lambda item: _bucket(item)[:-1]):
        for items in _filled(bucket, limit):
            yield AskedBatch(route=routes[items[0].spec.model], items=tuple(items))


def _bucket(item: Asked) -> tuple[str, int, int, bool, str]:
    request = item.spec.request
    return item.spec.model, request.width, request.height, item.keeps_latents, request.prompt


def _filled(items: Iterable[Asked], limit: int) -> Iterator[list[Asked]]:
    """Fill rows up to the limit of requests; an asset's requests stay together."""
    batch: list[Asked] = []
    size = 0
    for item in items:
        if batch and size + len(item.requests) > limit:
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item.requests)
    if batch:
        yield batch


def decided_batches(
    decided: Sequence[Decided], routes: Mapping[str, Route]
) -> Iterator[DecidedBatch]:
    """Decided assets by model, a handful a row."""
    for model, bucket in groupby(
        sorted(decided, key=lambda item: item.spec.model), key=lambda item: item.spec.model
    ):
        items = tuple(bucket)
        for start in range(0, len(items), REQUESTS_PER_BATCH):
            yield DecidedBatch(route=routes[model], items=items[start : start + REQUESTS_PER_BATCH])
