"""Micro-batches: what one row carries from stage to stage, and how requests are grouped."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from math import ceil

from app.engine.fair_share import FairShares
from app.types import (
    AssetRecord,
    AssetSpec,
    FinishedFile,
    GenerationRequest,
    Route,
    Value,
)
from app.types.candidate import Candidate, DecidedAsset, Outcome

REQUESTS_PER_BATCH = 32
FIRST_REQUESTS = 8
"""Requests of each worker's first row: the first images are seen after one batch of the engine."""


class GenerateRow(Value):
    """An asset and the candidates requested in this round."""

    spec: AssetSpec
    requests: tuple[GenerationRequest, ...]
    keeps_latents: bool = False
    """Whether another model may start from the latents."""


class GeneratedRow(Value):
    """The same asset with the outcome of each request."""

    spec: AssetSpec
    outcomes: tuple[Outcome, ...]


class ExaminedRow(Value):
    """The asset's name with its candidates and their reports."""

    name: str
    candidates: tuple[Candidate, ...]


class GenerateBatch(Value):
    """One row for the generate stage: one team, one model, one size."""

    route: Route
    items: tuple[GenerateRow, ...]


class GeneratedBatch(Value):
    """One row for the check stage."""

    route: Route
    items: tuple[GeneratedRow, ...]
    loads: int = 0
    """How many models were loaded for it."""


class ExaminedBatch(Value):
    """One row back to the driver."""

    items: tuple[ExaminedRow, ...]
    loads: int = 0


class DecidedBatch(Value):
    """One row for the finish stage."""

    route: Route
    items: tuple[DecidedAsset, ...]


class CompletedBatch(Value):
    """One row back to the driver: the catalog's records, and what could not be published."""

    records: tuple[AssetRecord, ...]
    errors: dict[str, str]


class SpriteFile(Value):
    """A finished file under the name that game engines know it by."""

    name: str
    file: FinishedFile


def generate_batches(
    rows: Sequence[GenerateRow],
    routes: Mapping[str, Route],
    *,
    workers: int,
    share: Callable[[str], float] = lambda team: 1.0,
) -> Iterator[GenerateBatch]:
    """Yields rows that keep every worker busy; teams take turns by their shares of row-steps.

    Within a team requests of higher priority come first; within a priority those of one model, size
    and prompt are adjacent. The first row of each worker is short, so that images come early.
    """
    ordered = sorted(rows, key=_bucket)
    total = sum(len(item.requests) for item in rows)
    limit = min(max(total // (workers * 4), 8), REQUESTS_PER_BATCH)
    batches = [
        GenerateBatch(route=routes[items[0].spec.model], items=tuple(items))
        for _, bucket in groupby(ordered, key=lambda item: _bucket(item)[:-1])
        for items in _filled(bucket, limit)
    ]
    ordered_batches = _in_fair_order(batches, share)
    halves = [_split(batch, FIRST_REQUESTS) for batch in islice(ordered_batches, workers)]
    yield from (head for head, _ in halves)
    yield from (rest for _, rest in halves if rest.items)
    yield from ordered_batches


def _in_fair_order(
    batches: Sequence[GenerateBatch], share: Callable[[str], float]
) -> Iterator[GenerateBatch]:
    turns: FairShares[GenerateBatch] = FairShares(team_of)
    for batch in turns.in_fair_order(batches):
        turns.charge(batch, row_steps(batch), share(team_of(batch)))
        yield batch


def _split(batch: GenerateBatch, limit: int) -> tuple[GenerateBatch, GenerateBatch]:
    """Returns the assets of the first requests, up to `limit` of them, and the other assets."""
    head = len(next(_filled(batch.items, limit)))
    return batch.replace(items=batch.items[:head]), batch.replace(items=batch.items[head:])


def team_of(batch: GenerateBatch) -> str:
    """Returns the team of a row."""
    return batch.items[0].spec.request.tags.team


def row_steps(batch: GenerateBatch) -> int:
    """Returns the work of a row as an engine counts it: transformer rows times steps."""
    return sum(_row_steps(request) for item in batch.items for request in item.requests)


def _row_steps(request: GenerationRequest) -> int:
    strength = 1.0 if request.init_image is None else request.strength
    return ceil(request.num_inference_steps * strength) * (2 if request.guidance_scale > 1 else 1)


def _bucket(item: GenerateRow) -> tuple[str, int, str, int, int, bool, str]:
    request = item.spec.request
    return (
        request.tags.team,
        -request.tags.priority,
        item.spec.model,
        request.width,
        request.height,
        item.keeps_latents,
        request.prompt,
    )


def _filled(items: Iterable[GenerateRow], limit: int) -> Iterator[list[GenerateRow]]:
    """Yields lists of up to `limit` requests; an asset's requests stay together."""
    batch: list[GenerateRow] = []
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
    decided: Sequence[DecidedAsset], routes: Mapping[str, Route]
) -> Iterator[DecidedBatch]:
    """Yields decided assets by model, at most REQUESTS_PER_BATCH to a row."""
    for model, bucket in groupby(
        sorted(decided, key=lambda item: item.spec.model), key=lambda item: item.spec.model
    ):
        items = tuple(bucket)
        for start in range(0, len(items), REQUESTS_PER_BATCH):
            yield DecidedBatch(route=routes[model], items=items[start : start + REQUESTS_PER_BATCH])
