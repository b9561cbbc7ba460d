"""Single stages over what is stored already: check, finish or pack a run again, changed.

Nothing is generated. Each is a run of its own: its assets are further versions beside the old
ones, and its plan is the old run's with the change.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from app.plan.expand import expand_ways
from app.plan.inherit import replaced
from app.plan.schema import Plan, PlanAsset
from app.registry.references import fleet
from app.settings import Settings
from app.store.publish import open_store
from app.types import AssetRecord, GeneratedImage, GenerationRequest, Rule, Size
from app.types.candidate import Candidate, Decision, Outcome
from jobs.bulk import complete, find_standing, pack
from jobs.options import PackOptions
from jobs.runtime.batches import (
    REQUESTS_PER_BATCH,
    Decided,
    ExaminedBatch,
    Generated,
    GeneratedBatch,
)
from jobs.runtime.progress import RunProgress
from jobs.runtime.ray_data import rows, through, values
from jobs.runtime.run import Run, begin, end, first_of
from jobs.runtime.summary import Summary
from jobs.runtime.waves import Item, decided, waves
from jobs.stages.check import CheckStage

Stage = Callable[[Run, Sequence[Item], Sequence[Item]], None]
"""Takes a run and a wave of it, as its plan has it now and as it was."""


def check_again(
    run_id: str, settings: Settings, progress: RunProgress, *, rules: Sequence[Rule]
) -> Summary:
    """Judge a run's stored images by its plan's rules and these instead, and finish what passes.

    Raises CatalogError for a run that is not known.
    """
    plan = _plan_of(run_id, settings)
    assets = [asset.replace(rules=replaced(asset.rules, rules)) for asset in plan.assets]
    changed = plan.replace(assets=tuple(assets))
    return _again(plan, changed, settings, progress, _check)


def finish_again(
    run_id: str, settings: Settings, progress: RunProgress, *, sizes: Sequence[Size]
) -> Summary:
    """Finish the images that a run chose at other sizes; no check is run.

    Raises CatalogError for a run that is not known.
    """
    plan = _plan_of(run_id, settings)
    assets = [_resized(plan, asset, sizes, settings) for asset in plan.assets]
    changed = plan.replace(assets=tuple(assets), pack=plan.pack.replace(sizes=None))
    return _again(plan, changed, settings, progress, _finish)


def pack_again(
    run_id: str, settings: Settings, progress: RunProgress, *, options: PackOptions
) -> Summary:
    """Pack what a run accepted with other options. Raises CatalogError for an unknown run."""
    plan = _plan_of(run_id, settings)
    changed = plan.replace(pack=plan.pack.replace(**options.said))
    return _again(plan, changed, settings, progress, _count)


def _resized(plan: Plan, asset: PlanAsset, sizes: Sequence[Size], settings: Settings) -> PlanAsset:
    """The asset at other sizes; its images are generated at the size they had."""
    ways = first_of(plan, asset, fleet(settings))
    if not ways:
        return asset
    frame = ways[0].request
    return asset.replace(sizes=tuple(sizes), width=frame.width, height=frame.height)


def _plan_of(run_id: str, settings: Settings) -> Plan:
    """The plan as the run kept it."""
    store = open_store(settings.blobs, settings.catalog)
    document = store.blobs.get(store.catalog.run(run_id).plan_digest)
    return Plan.model_validate(json.loads(document))


def _again(
    plan: Plan, changed: Plan, settings: Settings, progress: RunProgress, stage: Stage
) -> Summary:
    models = fleet(settings)
    run = begin(changed, models, settings, progress)
    with run.lasting():
        both = zip(
            waves(expand_ways(changed, models)), waves(expand_ways(plan, models)), strict=True
        )
        for wave, before in both:
            find_standing(run, before)
            find_standing(run, wave)
            for item, old in zip(wave, before, strict=True):
                _narrow(item, old)
            stage(run, wave, before)
        return end(run, pack(run))


def _narrow(item: Item, old: Item) -> None:
    """Of several models that might have made an asset, the one that did goes on with it."""
    if len(item.ways) > 1 and old.standing is not None:
        made = old.standing.spec.model
        item.ways = (item.way(made),)


def _count(run: Run, wave: Sequence[Item], before: Sequence[Item]) -> None:
    """Nothing to do but to pack: the assets stand."""
    for item in wave:
        if item.standing is None:
            _undecided(run, item)
        else:
            run.fates.stood(item.index, item.standing)


def _undecided(run: Run, item: Item) -> None:
    run.fates.failed(item.index, item.spec, "the run did not come to it; run its plan first")


def _finish(run: Run, wave: Sequence[Item], before: Sequence[Item]) -> None:
    ready = []
    for item, old in zip(wave, before, strict=True):
        if item.standing is not None:
            run.fates.stood(item.index, item.standing)
        elif old.standing is None:
            _undecided(run, item)
        else:
            ready.append(_as_decided(item, old.standing))
    complete(run, ready)


def _as_decided(item: Item, record: AssetRecord) -> Decided:
    """The decision that stands, for the spec as it is now."""
    winner = None
    if record.image is not None:
        outcome = Outcome(request=record.image.provenance.request, image=record.image)
        winner = Candidate(outcome=outcome, report=record.report, phash=record.phash)
    decision = Decision(
        status=record.status, winner=winner, report=record.report, reasons=record.reasons
    )
    return Decided(
        index=item.index,
        key=item.key,
        spec=item.spec,
        decision=decision,
        attempts=record.attempts,
        turns=record.turns,
        retries=record.retries,
        explained=record.explained,
    )


def _check(run: Run, wave: Sequence[Item], before: Sequence[Item]) -> None:
    todo = {item.spec.name: item for item in wave if item.standing is None}
    kept = {one.standing.name: _kept(run, one.standing) for one in before if one.standing}
    batches = list(_stored(run, todo.values(), kept))
    if batches:
        run.need_ray()
        dataset = through(
            rows(batches), CheckStage, workers=1, num_cpus=0.25, settings=run.settings
        )
        with run.progress.stage("checked", len(todo)) as stage:
            for batch in values(dataset, ExaminedBatch):
                for examined in batch.items:
                    todo[examined.name].candidates += examined.candidates
                stage.advance(len(batch.items))
    judged = [item for item in wave if item.standing or item.candidates]
    for item in todo.values():
        if not item.candidates:
            _undecided(run, item)
    complete(run, list(decided(judged, run.neighbours, run.fates, guard=run.guard, last=True)))


def _stored(
    run: Run, items: Iterable[Item], kept: Mapping[str, Sequence[GeneratedImage]]
) -> Iterator[GeneratedBatch]:
    """Rows for the check stage: every image of the items' requests that was ever made."""
    ordered = sorted(items, key=lambda item: item.spec.model)
    asked = {item.spec.name: _requests(run, item, kept.get(item.spec.name, ())) for item in ordered}
    found = run.store.catalog.images(key for requests in asked.values() for key in requests)
    for model, group in groupby(ordered, key=lambda item: item.spec.model):
        generated = [_generated(item, asked[item.spec.name], found) for item in group]
        with_images = [one for one in generated if one.outcomes]
        for start in range(0, len(with_images), REQUESTS_PER_BATCH):
            piece = tuple(with_images[start : start + REQUESTS_PER_BATCH])
            yield GeneratedBatch(route=run.routes[model], items=piece)


def _kept(run: Run, record: AssetRecord) -> list[GeneratedImage]:
    """The image that was chosen, and those of further attempts that were made with a reason."""
    keys = [retry.key for retry in record.retries if retry.key]
    images = run.store.catalog.images(keys) if keys else {}
    return [*([record.image] if record.image else []), *images.values()]


def _requests(run: Run, item: Item, kept: Sequence[GeneratedImage]) -> dict[str, GenerationRequest]:
    """Every request the item's attempts allow, by its key, and those whose images were kept."""
    requests = [item.spec.candidate(index) for index in range(item.spec.attempts)]
    by_key = {run.routes[item.spec.model].key(request.id): request for request in requests}
    return by_key | {image.key: image.provenance.request for image in kept}


def _generated(
    item: Item, requests: Mapping[str, GenerationRequest], found: Mapping[str, GeneratedImage]
) -> Generated:
    outcomes = tuple(
        Outcome(request=request, image=found[key])
        for key, request in requests.items()
        if key in found
    )
    return Generated(spec=item.spec, outcomes=outcomes)
