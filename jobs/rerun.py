"""Single stages over stored results: check, finish or pack a run again with a change.

Nothing is generated. Each is a run of its own: its assets are further versions beside the old ones,
and its plan is the old run's with the change.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from app.flow.prepare import PreparedPlan, prepare
from app.plan.inherit import merge_rules
from app.plan.schema import Plan, PlanAsset
from app.settings import Settings
from app.store.publish import open_store
from app.types import AssetRecord, GeneratedImage, GenerationRequest, Rule, Size
from app.types.candidate import Candidate, DecidedAsset, Decision, Outcome
from jobs.bulk import complete, load_existing, pack
from jobs.options import PackOptions
from jobs.runtime.batches import (
    REQUESTS_PER_BATCH,
    ExaminedBatch,
    GeneratedBatch,
    GeneratedRow,
)
from jobs.runtime.progress import RunProgress
from jobs.runtime.ray_data import from_dataset, run_stage, to_dataset
from jobs.runtime.run import Run, finish_run, start_run
from jobs.runtime.summary import Summary
from jobs.runtime.waves import Item, waves
from jobs.stages.check import CheckStage

Stage = Callable[[Run, Sequence[Item], Sequence[Item]], None]
"""Takes a run and one wave of it, as the changed plan has it and as the old plan had it."""


def recheck(
    run_id: str, settings: Settings, progress: RunProgress, *, rules: Sequence[Rule]
) -> Summary:
    """Judges a run's stored images by its plan's rules with these merged in; finishes what passes.

    Raises CatalogError for a run that is not known.
    """
    prepared = _prepared(run_id, settings)
    plan = prepared.plan
    assets = [asset.replace(rules=merge_rules(asset.rules, rules)) for asset in plan.assets]
    return _rerun(prepared, plan.replace(assets=tuple(assets)), settings, progress, _check)


def refinish(
    run_id: str, settings: Settings, progress: RunProgress, *, sizes: Sequence[Size]
) -> Summary:
    """Finishes the images that a run chose at other sizes; no check is run.

    Raises CatalogError for a run that is not known.
    """
    prepared = _prepared(run_id, settings)
    plan = prepared.plan
    assets = [_resized(prepared, asset, sizes) for asset in plan.assets]
    changed = plan.replace(assets=tuple(assets), pack=plan.pack.replace(sizes=None))
    return _rerun(prepared, changed, settings, progress, _finish)


def repack(
    run_id: str, settings: Settings, progress: RunProgress, *, options: PackOptions
) -> Summary:
    """Packs what a run accepted with other options. Raises CatalogError for an unknown run."""
    prepared = _prepared(run_id, settings)
    changed = prepared.plan.replace(pack=prepared.plan.pack.replace(**options.given))
    return _rerun(prepared, changed, settings, progress, _count)


def _resized(prepared: PreparedPlan, asset: PlanAsset, sizes: Sequence[Size]) -> PlanAsset:
    """Returns the asset with other sizes; its images are generated at the size they had."""
    variants = prepared.entry_specs(asset)
    if not variants:
        return asset
    frame = variants[0].request
    return asset.replace(sizes=tuple(sizes), width=frame.width, height=frame.height)


def _prepared(run_id: str, settings: Settings) -> PreparedPlan:
    """Returns the plan as the run stored it."""
    store = open_store(settings.blobs, settings.catalog)
    document = store.blobs.get(store.catalog.run(run_id).plan_digest)
    return prepare(Plan.model_validate(json.loads(document)), settings)


def _rerun(
    prepared: PreparedPlan, plan: Plan, settings: Settings, progress: RunProgress, stage: Stage
) -> Summary:
    """Runs one stage for `plan`, the changed form of a plan that was run before."""
    changed = prepare(plan, settings, models=prepared.models)
    run = start_run(changed, settings, progress)
    with run.running():
        both = zip(waves(changed.assets()), waves(prepared.assets()), strict=True)
        for wave, before in both:
            load_existing(run, before)
            load_existing(run, wave)
            for item, old in zip(wave, before, strict=True):
                _keep_made_variant(item, old)
            stage(run, wave, before)
        return finish_run(run, pack(run))


def _keep_made_variant(item: Item, old: Item) -> None:
    """Keeps only the variant that made the asset, where several models could have made it."""
    if len(item.variants) > 1 and old.existing is not None:
        made = old.existing.spec.model
        item.variants = (item.variant(made),)


def _count(run: Run, wave: Sequence[Item], before: Sequence[Item]) -> None:
    """Counts the existing assets; packing is all that is left to do."""
    for item in wave:
        if item.existing is None:
            _undecided(run, item)
        else:
            run.outcomes.reuse(item.index, item.existing)


def _undecided(run: Run, item: Item) -> None:
    run.outcomes.fail(item.index, item.spec, "the run did not come to it; run its plan first")


def _finish(run: Run, wave: Sequence[Item], before: Sequence[Item]) -> None:
    ready = []
    for item, old in zip(wave, before, strict=True):
        if item.existing is not None:
            run.outcomes.reuse(item.index, item.existing)
        elif old.existing is None:
            _undecided(run, item)
        else:
            ready.append(_existing_decision(item, old.existing))
    complete(run, ready)


def _existing_decision(item: Item, record: AssetRecord) -> DecidedAsset:
    """Returns the existing decision, for the spec as it is now."""
    winner = None
    if record.image is not None:
        outcome = Outcome(request=record.image.provenance.request, image=record.image)
        winner = Candidate(outcome=outcome, report=record.report, phash=record.phash)
    decision = Decision(
        status=record.status, winner=winner, report=record.report, reasons=record.reasons
    )
    return DecidedAsset(
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
    todo = {item.spec.name: item for item in wave if item.existing is None}
    kept = {
        item.existing.name: _chosen_images(run, item.existing) for item in before if item.existing
    }
    batches = list(_stored(run, todo.values(), kept))
    if batches:
        run.start_ray()
        dataset = run_stage(to_dataset(batches), CheckStage, workers=1, settings=run.settings)
        with run.progress.stage("checked", len(todo)) as stage:
            for batch in from_dataset(dataset, ExaminedBatch):
                for examined in batch.items:
                    todo[examined.name].candidates += examined.candidates
                stage.advance(len(batch.items))
    judged = [item for item in wave if item.existing or item.candidates]
    for item in todo.values():
        if not item.candidates:
            _undecided(run, item)
    complete(run, list(run.decisions.decide(judged, run.outcomes, last=True)))


def _stored(
    run: Run, items: Iterable[Item], kept: Mapping[str, Sequence[GeneratedImage]]
) -> Iterator[GeneratedBatch]:
    """Yields rows for the check stage: every image of the items' requests that was ever made."""
    ordered = sorted(items, key=lambda item: item.spec.model)
    request = {
        item.spec.name: _requests(run, item, kept.get(item.spec.name, ())) for item in ordered
    }
    images = run.store.catalog.images(key for requests in request.values() for key in requests)
    for model, group in groupby(ordered, key=lambda item: item.spec.model):
        generated = [_generated(item, request[item.spec.name], images) for item in group]
        with_images = [item for item in generated if item.outcomes]
        for start in range(0, len(with_images), REQUESTS_PER_BATCH):
            piece = tuple(with_images[start : start + REQUESTS_PER_BATCH])
            yield GeneratedBatch(route=run.prepared.routes[model], items=piece)


def _chosen_images(run: Run, record: AssetRecord) -> list[GeneratedImage]:
    """Returns the image that was chosen, and those of further attempts with a reason."""
    keys = [retry.key for retry in record.retries if retry.key]
    images = run.store.catalog.images(keys) if keys else {}
    return [*([record.image] if record.image else []), *images.values()]


def _requests(run: Run, item: Item, kept: Sequence[GeneratedImage]) -> dict[str, GenerationRequest]:
    """Returns every request the item's attempts allow, by key, and those whose images were kept."""
    requests = [item.spec.candidate(index) for index in range(item.spec.attempts)]
    by_key = {run.prepared.routes[item.spec.model].key(request.id): request for request in requests}
    return by_key | {image.key: image.provenance.request for image in kept}


def _generated(
    item: Item, requests: Mapping[str, GenerationRequest], images: Mapping[str, GeneratedImage]
) -> GeneratedRow:
    outcomes = tuple(
        Outcome(request=request, image=images[key])
        for key, request in requests.items()
        if key in images
    )
    return GeneratedRow(spec=item.spec, outcomes=outcomes)
