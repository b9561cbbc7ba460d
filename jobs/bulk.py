"""The whole bulk job in order: plan -> route -> generate -> check -> refine -> finish -> pack.

Every stage is a pool of warm workers; rows carry digests and numbers, never pixels. Committed
results stay: the same command continues where the last one stopped.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING

from app.flow.prepare import PreparedPlan
from app.route.router import asset_key
from app.settings import Settings
from app.types import AtlasPage
from app.types.candidate import Candidate, DecidedAsset, Outcome
from jobs.runtime.batches import (
    CompletedBatch,
    ExaminedBatch,
    GenerateRow,
    decided_batches,
    generate_batches,
)
from jobs.runtime.cluster import generation_workers, gpus
from jobs.runtime.progress import RunProgress
from jobs.runtime.ray_data import MAX_GENERATION_DEATHS, from_dataset, run_stage, to_dataset
from jobs.runtime.run import Run, finish_run, start_run
from jobs.runtime.summary import Summary
from jobs.runtime.waves import Item, ItemState, waves
from jobs.stages.check import CheckStage
from jobs.stages.finish import FinishStage
from jobs.stages.generate import GenerateStage
from jobs.stages.pack import PackedAtlas, PackStage, atlases

if TYPE_CHECKING:
    from ray.data import Dataset


def bulk(
    prepared: PreparedPlan,
    settings: Settings,
    progress: RunProgress,
    *,
    workers: int | None = None,
) -> Summary:
    """Makes every asset of a plan that does not exist yet, and packs what was accepted.

    The driver's memory does not grow with the plan, except for a few numbers per accepted asset.
    Safe to repeat. Raises InvalidRequest before any work is spent, Stopped when interrupted.
    """
    run = start_run(prepared, settings, progress, workers=workers)
    refiner = run.decisions.refiner
    coming = waves(prepared.assets(), drafts=prepared.draft_specs(), refiner=refiner)
    with run.running():
        _run_rounds(run, coming)
        return finish_run(run, pack(run))


def _run_rounds(run: Run, coming: Iterator[list[Item]]) -> None:
    """Runs rounds of generate and check; undecided assets go on into the next round.

    Within a round decisions are made in the plan's order, whatever order the rows came back in.
    """
    pending: list[Item] = []
    for wave in chain(coming, repeat([])):
        load_existing(run, wave)
        run.decisions.choose_routes(wave)
        pending += wave
        if not pending:
            return
        _examine(run, [item for item in pending if item.state is ItemState.OPEN])
        complete(run, list(run.decisions.decide(pending, run.outcomes)))
        ended = [item for item in pending if item.state is ItemState.ENDED]
        run.outcomes.cut_short([item.cut_short for item in ended if item.cut_short])
        pending = [item for item in pending if item.state is not ItemState.ENDED]
        load_existing(run, [item for item in pending if item.state is ItemState.NEW])


def load_existing(run: Run, wave: Sequence[Item]) -> None:
    """Looks the items up in the catalog by the keys of their assets."""
    for item in wave:
        item.key = asset_key(item.variants, run.prepared.models)
    records = run.store.catalog.asset_records(item.key for item in wave)
    for item in wave:
        item.look_up(records.get(item.key))


def _examine(run: Run, items: Sequence[Item]) -> None:
    """Generates and checks in separate pools; an asset whose row is lost gets failed candidates."""
    if not items:
        return
    by_name = {item.spec.name: item for item in items}
    rows = [
        GenerateRow(spec=item.spec, requests=item.next_requests, keeps_latents=item.continues)
        for item in items
    ]
    missing = {item.spec.name: item for item in rows}
    dataset = run_stage(
        generated(run, rows),
        CheckStage,
        workers=1,
        settings=run.settings,
        models=tuple(route.model for route in run.prepared.routes.values()),
    )
    with run.progress.stage("images", sum(len(item.requests) for item in rows)) as stage:
        for batch in from_dataset(dataset, ExaminedBatch):
            run.progress.loads += batch.loads
            for examined in batch.items:
                del missing[examined.name]
                stage.count_candidates(examined.candidates)
                by_name[examined.name].candidates += examined.candidates
    for item in missing.values():
        by_name[item.spec.name].candidates += _lost_candidates(item)


def generated(run: Run, rows: Sequence[GenerateRow]) -> "Dataset":
    """Returns a dataset of generated images from warm workers, one micro-batch per row."""
    run.start_ray()
    images = sum(len(item.requests) for item in rows)
    workers = generation_workers(run.workers, images)
    batches = list(
        generate_batches(
            rows, run.prepared.routes, workers=workers, share=run.prepared.budgets.share
        )
    )
    return run_stage(
        to_dataset(batches),
        GenerateStage,
        workers=min(workers, len(batches)),
        num_gpus=1 if gpus() else 0,
        max_deaths=MAX_GENERATION_DEATHS,
        settings=run.settings,
        run_id=run.id,
        terms=run.terms,
    )


def _lost_candidates(row: GenerateRow) -> list[Candidate]:
    error = "the workers of this row died and it did not come back"
    return [Candidate(outcome=Outcome(request=request, error=error)) for request in row.requests]


def complete(run: Run, decided: Sequence[DecidedAsset]) -> None:
    """Finishes and publishes; records by name, with its reason, what could not be published."""
    if not decided:
        return
    run.start_ray()
    indices = {asset.spec.name: asset.index for asset in decided}
    specs = {asset.spec.name: asset.spec for asset in decided}
    dataset = run_stage(
        to_dataset(decided_batches(decided, run.prepared.routes)),
        FinishStage,
        workers=1,
        settings=run.settings,
        run_id=run.id,
    )
    with run.progress.stage("finished", len(decided)) as stage:
        for batch in from_dataset(dataset, CompletedBatch):
            for record in batch.records:
                run.outcomes.complete(indices[record.name], record)
            for name, error in batch.errors.items():
                run.outcomes.fail(indices[name], specs[name], error)
            stage.advance(len(batch.records) + len(batch.errors))


def pack(run: Run) -> list[AtlasPage]:
    """Returns the pages of every atlas: those packed before are reused, the rest are packed."""
    plan = run.prepared.plan
    wanted = atlases(plan.name, run.outcomes.sprites, plan.pack)
    packed = {atlas.id: run.store.catalog.pages(atlas.id) for atlas in wanted}
    missing = [atlas for atlas in wanted if not _is_complete(run, packed[atlas.id])]
    if missing:
        run.start_ray()
        dataset = run_stage(to_dataset(missing), PackStage, workers=1, settings=run.settings)
        packed |= {result.id: result.pages for result in from_dataset(dataset, PackedAtlas)}
    return [page for atlas in wanted for page in packed[atlas.id]]


def _is_complete(run: Run, pages: Sequence[AtlasPage]) -> bool:
    """Returns whether an atlas was packed before and its files still exist."""
    has = run.store.blobs.has
    return bool(pages) and all(has(page.image) and has(page.metadata) for page in pages)
