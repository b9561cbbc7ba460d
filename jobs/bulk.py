"""The bulk job, whole and in order: plan -> route -> generate -> check -> refine -> finish -> pack.

Every stage is a pool of warm workers of its own; rows carry digests and numbers, never pixels.
What was committed stays: the same command goes on where the last one stopped.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, repeat
from time import perf_counter
from uuid import uuid4

from ray.data import Dataset

from app.attempt import Candidate, Outcome
from app.check.similarity import Neighbours
from app.digest import digest
from app.errors import InvalidRequest
from app.models.versions import fleet
from app.plan.expand import expand
from app.plan.schema import Plan
from app.refine import next_attempts
from app.route import route
from app.settings import Settings
from app.store.publish import Store, forget, open_store
from app.types import AssetSpec, AtlasPage, Kind, ModelVersion, Route, Status
from jobs.batches import (
    Asked,
    CompletedBatch,
    Decided,
    ExaminedBatch,
    asked_batches,
    decided_batches,
)
from jobs.check import CheckStage
from jobs.cluster import cluster, generation_workers, gpus, rows, through, values
from jobs.finish import FinishStage
from jobs.generate import GenerateStage
from jobs.pack import Atlas, PackedAtlas, PackStage, atlases
from jobs.progress import RunProgress
from jobs.report import report
from jobs.summary import Fates, RunNotes, Summary
from jobs.waves import Item, decided, waves

FINISHED_KINDS = frozenset({Kind.ICON, Kind.SPRITE})


class Stopped(KeyboardInterrupt):
    """The run was interrupted in good order; the same command goes on."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a plan: what its stages share."""

    id: str
    settings: Settings
    store: Store
    routes: Mapping[str, Route]
    workers: int | None
    """Generation workers as asked for; None leaves it to `generation_workers`."""
    progress: RunProgress
    fates: Fates
    ray: ExitStack
    """Holds the cluster from the first row on; a plan that stands already never starts it."""


def bulk(
    plan: Plan, settings: Settings, progress: RunProgress, *, workers: int | None = None
) -> Summary:
    """Make every asset of a plan that does not stand yet, and pack what was accepted.

    The driver's memory does not grow with the plan, but for a few numbers per accepted asset.
    Raises InvalidRequest before any work is spent, Stopped when interrupted.
    """
    started = perf_counter()
    models = fleet()
    run = _begin(plan, models, settings, progress, workers)
    try:
        with progress, run.ray:
            _make(run, waves(expand(plan, models)))
            pages = _pack(run, atlases(plan.name, run.fates.sprites, plan.pack))
    except KeyboardInterrupt as interrupt:
        forget(run.store, owner=run.id)
        run.store.catalog.end_run(run.id, {"stopped": True, "made": progress.made})
        raise Stopped(
            f"stopped; the {progress.made} images this run made are kept, "
            "run the same command to go on"
        ) from interrupt
    folder = settings.home / "runs" / run.id
    summary = run.fates.summary(run.id, progress, perf_counter() - started)
    summary = report(run.fates, pages, summary, run.store, folder, title=plan.name)
    run.store.catalog.end_run(run.id, _notes(run, summary).as_json())
    return summary


def _notes(run: Run, summary: Summary) -> RunNotes:
    """The summary with what explains its pace."""
    return RunNotes(
        **dict(summary),
        first_image_seconds=run.progress.first_image_seconds,
        generation_seconds=run.progress.seconds,
        generation_cpu_seconds=run.progress.cpu_seconds,
    )


def _begin(
    plan: Plan,
    models: Mapping[str, ModelVersion],
    settings: Settings,
    progress: RunProgress,
    workers: int | None,
) -> Run:
    """Refuse what cannot be made, open the store, and note that a run begins."""
    routes: dict[str, Route] = {}
    asked = 0
    for spec in expand(plan, models):
        routes[spec.model] = route(spec, models)
        _require_finishing(spec)
        asked += 1
    store = open_store(settings.blobs, settings.catalog)
    run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:6]}"
    store.catalog.begin_run(run_id, plan=plan.name, plan_digest=digest(plan.as_json()))
    return Run(run_id, settings, store, routes, workers, progress, Fates(asked), ExitStack())


def _require_finishing(spec: AssetSpec) -> None:
    if spec.kind not in FINISHED_KINDS:
        raise InvalidRequest(
            f"{spec.name} is a {spec.kind}, which cannot be finished yet; "
            f"use {' or '.join(sorted(FINISHED_KINDS))}"
        )


def _make(run: Run, coming: Iterator[list[Item]]) -> None:
    """Rounds of generate and check; whoever is undecided goes along into the next one.

    Decisions fall in the plan's order within a round, whatever order the rows came back in.
    """
    neighbours = Neighbours()
    pending: list[Item] = []
    for wave in chain(coming, repeat([])):
        _find_standing(run, wave)
        pending += wave
        if not pending:
            return
        _examine(run, [item for item in pending if item.standing is None])
        _complete(run, list(decided(pending, neighbours, run.fates)))
        pending = [item for item in pending if not item.ended]


def _find_standing(run: Run, wave: Sequence[Item]) -> None:
    """What the catalog holds a final word on; failed is not final."""
    keys = {item.index: run.routes[item.spec.model].key(item.spec.digest) for item in wave}
    found = run.store.catalog.asset_records(keys.values())
    for item in wave:
        record = found.get(keys[item.index])
        if record is not None and record.status is not Status.FAILED:
            item.standing = record


def _examine(run: Run, items: Sequence[Item]) -> None:
    """Generate and check, each with workers of its own; an asset whose row is lost is told so."""
    if not items:
        return
    by_name = {item.spec.name: item for item in items}
    asked = [
        Asked(spec=item.spec, requests=next_attempts(item.spec, len(item.candidates)))
        for item in items
    ]
    missing = {one.spec.name: one for one in asked}
    images = sum(len(one.requests) for one in asked)
    with run.progress.stage("images", images) as stage:
        for batch in values(_generated_and_checked(run, asked, images), ExaminedBatch):
            for examined in batch.items:
                del missing[examined.name]
                stage.seen(examined.candidates)
                by_name[examined.name].candidates += examined.candidates
    for one in missing.values():
        by_name[one.spec.name].candidates += _lost(one)


def _generated_and_checked(run: Run, asked: Sequence[Asked], images: int) -> Dataset:
    run.ray.enter_context(cluster())
    workers = generation_workers(run.workers, images)
    batches = list(asked_batches(asked, run.routes, workers=workers))
    dataset = through(
        rows(batches),
        GenerateStage,
        workers=min(workers, len(batches)),
        num_cpus=0.5,
        num_gpus=1 if gpus() else 0,
        settings=run.settings,
        run_id=run.id,
    )
    return through(dataset, CheckStage, workers=1, num_cpus=0.25, settings=run.settings)


def _lost(asked: Asked) -> list[Candidate]:
    error = "the workers of this row died and it did not come back"
    return [Candidate(outcome=Outcome(request=request, error=error)) for request in asked.requests]


def _complete(run: Run, decided: Sequence[Decided]) -> None:
    """Finish and publish; what could not be published comes back by name with its reason."""
    if not decided:
        return
    run.ray.enter_context(cluster())
    indices = {one.spec.name: one.index for one in decided}
    specs = {one.spec.name: one.spec for one in decided}
    dataset = through(
        rows(decided_batches(decided, run.routes)),
        FinishStage,
        workers=1,
        num_cpus=0.25,
        settings=run.settings,
        run_id=run.id,
    )
    with run.progress.stage("finished", len(decided)) as stage:
        for batch in values(dataset, CompletedBatch):
            for record in batch.records:
                run.fates.completed(indices[record.name], record)
            for name, error in batch.errors.items():
                run.fates.failed(indices[name], specs[name], error)
            stage.advance(len(batch.records) + len(batch.errors))


def _pack(run: Run, wanted: Sequence[Atlas]) -> list[AtlasPage]:
    """The pages of every atlas: those packed before are found again, the rest are packed."""
    packed = {atlas.id: run.store.catalog.pages(atlas.id) for atlas in wanted}
    missing = [atlas for atlas in wanted if not packed[atlas.id]]
    if missing:
        run.ray.enter_context(cluster())
        dataset = through(rows(missing), PackStage, workers=1, num_cpus=0.5, settings=run.settings)
        packed |= {result.id: result.pages for result in values(dataset, PackedAtlas)}
    return [page for atlas in wanted for page in packed[atlas.id]]
