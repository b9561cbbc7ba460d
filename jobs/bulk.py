"""The bulk job, whole and in order: plan -> route -> generate -> check -> refine -> finish -> pack.

Every stage is a pool of warm workers of its own; rows carry digests and numbers, never pixels.
What was committed stays: the same command goes on where the last one stopped.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from uuid import uuid4

from app.attempt import Candidate, Outcome
from app.check.similarity import Neighbours
from app.decide import decide
from app.digest import digest
from app.errors import InvalidRequest
from app.models.versions import fleet
from app.plan.expand import expand
from app.plan.schema import Plan
from app.refine import next_attempts
from app.route import route
from app.settings import Settings
from app.store.publish import Store, forget, open_store
from app.types import AssetRecord, AssetSpec, AtlasPage, Kind, ModelVersion, Route, Status
from jobs.batches import (
    Asked,
    CompletedBatch,
    Decided,
    Examined,
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


def bulk(
    plan: Plan, settings: Settings, progress: RunProgress, *, workers: int | None = None
) -> Summary:
    """Make every asset of a plan that does not stand yet, and pack what was accepted.

    Raises InvalidRequest before any work is spent, Stopped when interrupted.
    """
    started = perf_counter()
    models = fleet()
    specs = list(expand(plan, models))
    run = _begin(plan, specs, models, settings, progress, workers)
    standing, todo = _standing(run, specs)
    try:
        with progress, cluster() if todo else nullcontext():
            completed = list(_make(run, todo, _neighbours(standing)))
            fates = Fates(specs, standing, completed)
            pages = _pack(run, atlases(plan.name, fates.accepted, plan.pack))
    except KeyboardInterrupt as interrupt:
        forget(run.store, owner=run.id)
        run.store.catalog.end_run(run.id, {"stopped": True, "made": progress.made})
        raise Stopped(
            f"stopped; the {progress.made} images this run made are kept, "
            "run the same command to go on"
        ) from interrupt
    folder = settings.home / "runs" / run.id
    summary = fates.summary(run.id, progress, perf_counter() - started)
    summary = report(fates, pages, summary, run.store, folder, title=plan.name)
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
    specs: Sequence[AssetSpec],
    models: Mapping[str, ModelVersion],
    settings: Settings,
    progress: RunProgress,
    workers: int | None,
) -> Run:
    """Refuse what cannot be made, open the store, and note that a run begins."""
    routes = {spec.model: route(spec, models) for spec in specs}
    unfinished = sorted({spec.kind for spec in specs} - FINISHED_KINDS)
    if unfinished:
        raise InvalidRequest(
            f"plan {plan.name} asks for {', '.join(unfinished)}, which cannot be finished yet; "
            f"use {' or '.join(sorted(FINISHED_KINDS))}"
        )
    store = open_store(settings.blobs, settings.catalog)
    run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:6]}"
    store.catalog.begin_run(run_id, plan=plan.name, plan_digest=digest(plan.as_json()))
    return Run(run_id, settings, store, routes, workers, progress)


def _standing(run: Run, specs: Sequence[AssetSpec]) -> tuple[list[AssetRecord], list[AssetSpec]]:
    """What the catalog holds a final word on, and what is to do; failed is not final."""
    keys = {spec.name: run.routes[spec.model].key(spec.digest) for spec in specs}
    found = run.store.catalog.asset_records(keys.values())
    final = {key: one for key, one in found.items() if one.status is not Status.FAILED}
    standing = [final[keys[spec.name]] for spec in specs if keys[spec.name] in final]
    return standing, [spec for spec in specs if keys[spec.name] not in final]


def _neighbours(standing: Iterable[AssetRecord]) -> Neighbours:
    neighbours = Neighbours()
    for record in standing:
        if record.status is Status.ACCEPTED:
            neighbours.add(record.phash, record.name)
    return neighbours


def _make(run: Run, todo: Sequence[AssetSpec], neighbours: Neighbours) -> Iterator[CompletedBatch]:
    """Rounds of generate and check until every asset's fate is known; each round's are finished.

    Decisions fall in the plan's order, whatever order the rows came back in.
    """
    candidates: dict[str, list[Candidate]] = {spec.name: [] for spec in todo}
    pending = list(todo)
    while pending:
        asked = [
            Asked(spec=spec, requests=next_attempts(spec, len(candidates[spec.name])))
            for spec in pending
        ]
        for examined in _examined(run, asked):
            candidates[examined.name] += examined.candidates
        decided = [
            Decided(
                spec=spec,
                decision=decide(spec, candidates[spec.name], neighbours),
                attempts=len(candidates[spec.name]),
            )
            for spec in pending
        ]
        yield from _completed(run, [one for one in decided if one.decision.status])
        pending = [one.spec for one in decided if not one.decision.status]


def _examined(run: Run, asked: Sequence[Asked]) -> Iterator[Examined]:
    """Generate and check, each with workers of its own; an asset whose row is lost is told so."""
    images = sum(len(item.requests) for item in asked)
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
    dataset = through(dataset, CheckStage, workers=1, num_cpus=0.25, settings=run.settings)
    missing = {item.spec.name: item for item in asked}
    with run.progress.stage("images", images) as stage:
        for batch in values(dataset, ExaminedBatch):
            for examined in batch.items:
                del missing[examined.name]
                stage.seen(examined.candidates)
                yield examined
    yield from (_lost(item) for item in missing.values())


def _lost(item: Asked) -> Examined:
    error = "the workers of this row died and it did not come back"
    outcomes = [Outcome(request=request, error=error) for request in item.requests]
    candidates = tuple(Candidate(outcome=outcome) for outcome in outcomes)
    return Examined(name=item.spec.name, candidates=candidates)


def _completed(run: Run, decided: Sequence[Decided]) -> Iterator[CompletedBatch]:
    """Finish and publish; what could not be published comes back by name with its reason."""
    if not decided:
        return
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
            stage.advance(len(batch.records) + len(batch.errors))
            yield batch


def _pack(run: Run, wanted: Sequence[Atlas]) -> list[AtlasPage]:
    """The pages of every atlas: those packed before are found again, the rest are packed."""
    packed = {atlas.id: run.store.catalog.pages(atlas.id) for atlas in wanted}
    missing = [atlas for atlas in wanted if not packed[atlas.id]]
    if missing:
        with cluster():
            dataset = through(
                rows(missing), PackStage, workers=1, num_cpus=0.5, settings=run.settings
            )
            packed |= {result.id: result.pages for result in values(dataset, PackedAtlas)}
    return [page for atlas in wanted for page in packed[atlas.id]]
