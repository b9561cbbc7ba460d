"""One run of a plan: how it begins, what its stages share, and how it ends or is stopped."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from uuid import uuid4

from app.errors import InvalidRequest
from app.plan.expand import count, expand
from app.plan.schema import Plan, PlanAsset
from app.route import route
from app.settings import Settings
from app.store.publish import Store, begin_run, forget, open_store
from app.types import AssetSpec, AtlasPage, Kind, ModelVersion, Route
from jobs.cluster import cluster
from jobs.progress import RunProgress
from jobs.report import report
from jobs.summary import Fates, RunNotes, Summary

FINISHED_KINDS = frozenset({Kind.ICON, Kind.SPRITE})


class Stopped(KeyboardInterrupt):
    """The run was interrupted in good order; the same command goes on."""


@dataclass(frozen=True, slots=True)
class Run:
    """What the stages of one run share."""

    id: str
    plan: Plan
    settings: Settings
    store: Store
    routes: Mapping[str, Route]
    workers: int | None
    """Generation workers as asked for; None leaves it to `generation_workers`."""
    progress: RunProgress
    fates: Fates
    started: float
    ray: ExitStack
    """Holds the cluster from the first row on; a plan that stands already never starts it."""

    def need_ray(self) -> None:
        """Start or join the cluster, once for the whole run."""
        self.ray.enter_context(cluster())

    @contextmanager
    def lasting(self) -> Iterator[None]:
        """Show progress and keep the cluster; Ctrl-C becomes `Stopped`, with everything kept."""
        try:
            with self.progress, self.ray:
                yield
        except KeyboardInterrupt as interrupt:
            forget(self.store, owner=self.id)
            spent = self.store.catalog.made_by(self.id)
            notes = {"stopped": True, "made": spent.images, "cost_usd": spent.cost_usd}
            self.store.catalog.end_run(self.id, notes)
            raise Stopped(
                f"stopped; the {spent.images} images this run made are kept, "
                "run the same command to go on"
            ) from interrupt


def begin(
    plan: Plan,
    models: Mapping[str, ModelVersion],
    settings: Settings,
    progress: RunProgress,
    *,
    workers: int | None = None,
) -> Run:
    """Refuse what cannot be made, open the store, and note that a run begins.

    Raises InvalidRequest before any work is spent.
    """
    started = perf_counter()
    routes: dict[str, Route] = {}
    for asset in plan.assets:
        spec = first_of(plan, asset, models)
        if spec is not None:
            routes[spec.model] = route(spec, models)
            _require_finishing(spec)
    store = open_store(settings.blobs, settings.catalog)
    run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:6]}"
    begin_run(store, run_id, plan=plan.name, document=plan.as_json())
    fates = Fates(count(plan))
    return Run(
        run_id, plan, settings, store, routes, workers, progress, fates, started, ExitStack()
    )


def first_of(plan: Plan, asset: PlanAsset, models: Mapping[str, ModelVersion]) -> AssetSpec | None:
    """The first spec of one entry; model, kind and generated size are the same in all of them."""
    return next(expand(plan.replace(assets=(asset,)), models), None)


def _require_finishing(spec: AssetSpec) -> None:
    if spec.kind not in FINISHED_KINDS:
        raise InvalidRequest(
            f"{spec.name} is a {spec.kind}, which cannot be finished yet; "
            f"use {' or '.join(sorted(FINISHED_KINDS))}"
        )


def end(run: Run, pages: Sequence[AtlasPage]) -> Summary:
    """Count what became of everything, write the pages and the contact sheet, note the end."""
    folder = run.settings.home / "runs" / run.id
    summary = run.fates.summary(
        run.id, run.store.catalog.made_by(run.id), perf_counter() - run.started
    )
    summary = report(run.fates, pages, summary, run.store, folder, title=run.plan.name)
    notes = RunNotes(
        **dict(summary),
        first_image_seconds=run.progress.first_image_seconds,
        generation_seconds=run.progress.seconds,
        generation_cpu_seconds=run.progress.cpu_seconds,
    )
    run.store.catalog.end_run(run.id, notes.as_json())
    return summary
