"""The bulk job, whole and in order: plan -> route -> generate -> check -> refine -> finish -> pack.

Every stage is a pool of warm workers of its own; rows carry digests and numbers, never pixels.
What was committed stays: the same command goes on where the last one stopped.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, repeat

from ray.data import Dataset

from app.plan.expand import expand, expand_ways
from app.plan.schema import Plan
from app.registry.references import fleet, pinned
from app.route.router import asset_key
from app.settings import Settings
from app.types import AtlasPage, Status
from app.types.candidate import Candidate, Outcome
from jobs.runtime.batches import (
    Asked,
    CompletedBatch,
    Decided,
    ExaminedBatch,
    asked_batches,
    decided_batches,
)
from jobs.runtime.progress import RunProgress
from jobs.runtime.ray_data import (
    GENERATION_DEATHS,
    generation_workers,
    gpus,
    rows,
    through,
    values,
)
from jobs.runtime.run import Run, begin, end
from jobs.runtime.summary import Summary
from jobs.runtime.waves import Item, decided, waves
from jobs.stages.check import CheckStage
from jobs.stages.finish import FinishStage
from jobs.stages.generate import GenerateStage
from jobs.stages.pack import PackedAtlas, PackStage, atlases


def bulk(
    plan: Plan, settings: Settings, progress: RunProgress, *, workers: int | None = None
) -> Summary:
    """Make every asset of a plan that does not stand yet, and pack what was accepted.

    The driver's memory does not grow with the plan, but for a few numbers per accepted asset.
    Raises InvalidRequest before any work is spent, Stopped when interrupted.
    """
    models = fleet(settings)
    plan = pinned(plan, models, settings)
    run = begin(plan, models, settings, progress, workers=workers)
    drafts = expand(run.drafts, models) if run.drafts else None
    with run.lasting():
        _make(run, waves(expand_ways(plan, models), drafts=drafts, refiner=run.refiner))
        return end(run, pack(run))


def _make(run: Run, coming: Iterator[list[Item]]) -> None:
    """Rounds of generate and check; whoever is undecided goes along into the next one.

    Decisions fall in the plan's order within a round, whatever order the rows came back in.
    """
    pending: list[Item] = []
    for wave in chain(coming, repeat([])):
        find_standing(run, wave)
        choose_ways(run, wave)
        run.forecast.add_all(
            item.spec for item in wave if item.standing is None and item.choice is None
        )
        pending += wave
        if not pending:
            return
        _examine(run, [item for item in pending if item.standing is None])
        complete(run, list(decided(pending, run.neighbours, run.fates, guard=run.guard)))
        run.fates.cut_short([item.cut_short for item in pending if item.ended and item.cut_short])
        pending = [item for item in pending if not item.ended]
        find_standing(run, [item for item in pending if item.turned])


def find_standing(run: Run, wave: Sequence[Item]) -> None:
    """What the catalog holds a final word on; failed is not final."""
    for item in wave:
        item.key = asset_key(item.ways, run.models)
    found = run.store.catalog.asset_records(item.key for item in wave)
    for item in wave:
        record = found.get(item.key)
        if record is not None and record.status is not Status.FAILED:
            item.standing = record


def choose_ways(run: Run, wave: Sequence[Item]) -> None:
    """Which models the assets go to that are not named one; by what images take as of now."""
    run.routing.refresh()
    for item in wave:
        if len(item.ways) > 1 and item.standing is None:
            item.choice = run.routing.choose(item.ways, item.key)
            way = item.choice.way
            run.forecast.expect(way.images, way.seconds, way.usd)


def _examine(run: Run, items: Sequence[Item]) -> None:
    """Generate and check, each with workers of its own; an asset whose row is lost is told so."""
    if not items:
        return
    by_name = {item.spec.name: item for item in items}
    asked = [
        Asked(spec=item.spec, requests=item.asked_now, keeps_latents=item.goes_on) for item in items
    ]
    missing = {one.spec.name: one for one in asked}
    dataset = through(
        generated(run, asked), CheckStage, workers=1, num_cpus=0.25, settings=run.settings
    )
    with run.progress.stage("images", sum(len(one.requests) for one in asked)) as stage:
        for batch in values(dataset, ExaminedBatch):
            run.progress.loads += batch.loads
            for examined in batch.items:
                del missing[examined.name]
                stage.seen(examined.candidates)
                by_name[examined.name].candidates += examined.candidates
    for one in missing.values():
        by_name[one.spec.name].candidates += _lost(one)


def generated(run: Run, asked: Sequence[Asked]) -> Dataset:
    """The asked ones through warm generation workers, one row per micro-batch."""
    run.need_ray()
    images = sum(len(one.requests) for one in asked)
    workers = generation_workers(run.workers, images)
    batches = list(asked_batches(asked, run.routes, workers=workers, share=run.budgets.share))
    return through(
        rows(batches),
        GenerateStage,
        workers=min(workers, len(batches)),
        num_cpus=0.5,
        num_gpus=1 if gpus() else 0,
        deaths=GENERATION_DEATHS,
        settings=run.settings,
        run_id=run.id,
        terms=run.terms,
    )


def _lost(asked: Asked) -> list[Candidate]:
    error = "the workers of this row died and it did not come back"
    return [Candidate(outcome=Outcome(request=request, error=error)) for request in asked.requests]


def complete(run: Run, decided: Sequence[Decided]) -> None:
    """Finish and publish; what could not be published comes back by name with its reason."""
    if not decided:
        return
    run.need_ray()
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


def pack(run: Run) -> list[AtlasPage]:
    """The pages of every atlas: those packed before are found again, the rest are packed."""
    wanted = atlases(run.plan.name, run.fates.sprites, run.plan.pack)
    packed = {atlas.id: run.store.catalog.pages(atlas.id) for atlas in wanted}
    missing = [atlas for atlas in wanted if not _whole(run, packed[atlas.id])]
    if missing:
        run.need_ray()
        dataset = through(rows(missing), PackStage, workers=1, num_cpus=0.5, settings=run.settings)
        packed |= {result.id: result.pages for result in values(dataset, PackedAtlas)}
    return [page for atlas in wanted for page in packed[atlas.id]]


def _whole(run: Run, pages: Sequence[AtlasPage]) -> bool:
    """Whether an atlas was packed before and its files are still there."""
    has = run.store.blobs.has
    return bool(pages) and all(has(page.image) and has(page.metadata) for page in pages)
