"""One run of a plan: how it begins, what its stages share, and how it ends or is stopped."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import perf_counter

from app.accept.gate import Guard, open_guard
from app.check.duplicates import Neighbours, Seen
from app.costs.estimate import Forecast, longest
from app.errors import InvalidRequest
from app.fleet.prices import Budgets, PriceSheet, budgets, price_sheet
from app.fleet.versions import resolve
from app.generate.generate import Terms
from app.generate.renderer import require_service
from app.plan.expand import count, drafted, expand_ways
from app.plan.schema import Budget, Plan, PlanAsset, RoutePlan
from app.refine.attempts import Refiner
from app.refine.changes import DEAREST
from app.refine.statistics import experience_of
from app.registry.references import pictures_of, pinned
from app.route.by_name import way_to
from app.route.router import Routing, routes_of
from app.settings import Settings
from app.store.budgets import Caps
from app.store.catalog import Catalog
from app.store.publish import Store, begin_run, forget, new_run_id, open_store
from app.types import AssetSpec, AtlasPage, Kind, ModelVersion, Refine, Route
from jobs.runtime.artifacts import report
from jobs.runtime.progress import RunProgress
from jobs.runtime.ray_data import cluster
from jobs.runtime.summary import Fates, RunNotes, Summary

FINISHED_KINDS = frozenset({Kind.ICON, Kind.SPRITE, Kind.POSTER})


class Stopped(KeyboardInterrupt):
    """The run was interrupted in good order; the same command goes on."""


@dataclass(frozen=True, slots=True)
class Run:
    """What the stages of one run share."""

    id: str
    plan: Plan
    drafts: Plan | None
    """The plan as its budget's draft model makes it, where it has one."""
    models: Mapping[str, ModelVersion]
    settings: Settings
    store: Store
    routes: Mapping[str, Route]
    budgets: Budgets
    """What may be spent, and how teams share, as it stood when the run began."""
    terms: Mapping[str, Terms]
    """By model: at what price and within which budgets its images are made."""
    routing: Routing
    """Chooses for the assets of which the plan names no model."""
    refiner: Refiner | None
    """By what attempts with a reason are made; None where the plan asks for none."""
    guard: Guard | None
    """The second word on what the rules accept; None where the plan says nothing of it."""
    neighbours: Neighbours
    """The pictures that stand, which no other may nearly repeat."""
    forecast: Forecast
    """What the run may take, by what was known when each model was first asked."""
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
    drafts = drafted(plan)
    drafts = pinned(drafts, models, settings) if drafts else None
    routes = _routes(plan, models) | (_routes(drafts, models) if drafts else {})
    require_service(routes.values(), settings)
    prices = price_sheet(settings)
    store = open_store(settings.blobs, settings.catalog)
    run_id = new_run_id()
    shared = budgets(settings)
    terms = _terms(plan, drafts, routes, store, prices, shared, who=settings.user)
    files = pictures_of(plan)
    record = begin_run(store, run_id, plan=plan.name, document=plan.as_json(), files=files)
    return Run(
        id=run_id,
        plan=plan,
        drafts=drafts,
        models=models,
        settings=settings,
        store=store,
        routes=routes,
        budgets=shared,
        terms=terms,
        routing=Routing(
            plan.route or RoutePlan(models=(plan.model,)), models, store.catalog, prices
        ),
        refiner=_refiner(plan, record.plan_digest, models, store.catalog),
        guard=open_guard(store.catalog, plan.accept) if plan.accept else None,
        neighbours=Neighbours(_known(plan, record.plan_digest, store.catalog)),
        forecast=Forecast(models, store.catalog, prices),
        workers=workers,
        progress=progress,
        fates=Fates(count(plan)),
        started=started,
        ray=ExitStack(),
    )


def _known(plan: Plan, plan_digest: str, catalog: Catalog) -> list[Seen]:
    return catalog.accepted_before(plan_digest) if plan.unique == "catalog" else []


def _refines(plan: Plan) -> bool:
    return Refine.REASON in {plan.defaults.refine, *(asset.refine for asset in plan.assets)}


def _refiner(
    plan: Plan, plan_digest: str, models: Mapping[str, ModelVersion], catalog: Catalog
) -> Refiner | None:
    """By what the catalog taught when the plan was first run."""
    if not _refines(plan):
        return None
    return Refiner(experience_of(catalog, plan_digest), models, plan.bounds)


def _routes(plan: Plan, models: Mapping[str, ModelVersion]) -> dict[str, Route]:
    """The way to every model that the plan may ask, by its name there.

    Raises NoRoute or OutOfBounds for an asset that none of its models can make.
    """
    routes: dict[str, Route] = {}
    for asset in plan.assets:
        ways = first_of(plan, asset, models)
        possible, refused = routes_of(ways, models)
        if ways and not possible:
            raise refused[ways[-1].model]
        routes |= {name: way_to(resolve(name, models)) for name in refused} | possible
        for spec in ways[:1]:
            _require_finishing(spec)
    return routes


def _terms(
    plan: Plan,
    drafts: Plan | None,
    routes: Mapping[str, Route],
    store: Store,
    prices: PriceSheet,
    shared: Budgets,
    *,
    who: str,
) -> dict[str, Terms]:
    """The terms of each model's images, by its resolved reference."""
    found = {}
    longer = DEAREST if _refines(plan) else 1.0
    for reference, way in routes.items():
        price = prices.price(way.model, way.backend)
        own = _cap(plan.budget, draft=drafts is not None and reference == drafts.model)
        found[way.model.reference] = Terms(
            who=who,
            plan=plan.name,
            price=price,
            most_seconds=longer
            * longest(way.model, price, store.catalog.tried(way.model.reference)),
            caps=Caps(own, shared.teams, shared.day),
        )
    return found


def _cap(budget: Budget | None, *, draft: bool) -> float | None:
    """The plan's own models leave alone what is kept for drafts."""
    if budget is None:
        return None
    return budget.usd if draft else budget.usd - budget.draft_usd


def first_of(
    plan: Plan, asset: PlanAsset, models: Mapping[str, ModelVersion]
) -> tuple[AssetSpec, ...]:
    """The first specs of one entry, one for each model that may make it; none when it is empty.

    Models, kind and generated sizes are the same in all specs of the entry.
    """
    return next(expand_ways(plan.replace(assets=(asset,)), models), ())


def _require_finishing(spec: AssetSpec) -> None:
    if spec.kind not in FINISHED_KINDS:
        raise InvalidRequest(
            f"{spec.name} is a {spec.kind}, which cannot be finished yet; "
            f"use {' or '.join(sorted(FINISHED_KINDS))}"
        )


def end(run: Run, pages: Sequence[AtlasPage]) -> Summary:
    """Count what became of everything, write the pages and the contact sheet, note the end."""
    folder = run.settings.home / "runs" / run.id
    spent = run.store.catalog.made_by(run.id)
    summary = run.fates.summary(run.id, spent, perf_counter() - run.started)
    summary = report(run.fates, pages, summary, run.store, folder, title=run.plan.name)
    notes = RunNotes(
        **dict(summary),
        first_image_seconds=run.progress.first_image_seconds,
        generation_seconds=run.progress.seconds,
        generation_cpu_seconds=run.progress.cpu_seconds,
        estimate=run.forecast.estimate(),
        attempt_seconds=spent.seconds,
        model_loads=run.progress.loads,
    )
    run.store.catalog.end_run(run.id, notes.as_json())
    return summary
