"""One run of a plan: how it starts, what its stages share, and how it ends or is stopped."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import perf_counter

from app.accept.gate import AcceptanceGate, open_gate
from app.check.duplicates import KnownImage, Neighbours
from app.costs.estimate import Estimator, max_attempt_seconds
from app.errors import InvalidRequest
from app.fleet.prices import Budgets, PriceSheet, budgets, price_sheet
from app.fleet.versions import resolve
from app.generate.generate import GenerationTerms
from app.generate.renderer import require_service
from app.plan.expand import count, draft_plan, expand_variants
from app.plan.schema import Budget, Plan, PlanAsset, RoutePlan
from app.refine.attempts import Refiner
from app.refine.changes import MAX_COST_FACTOR
from app.refine.statistics import load_statistics
from app.registry.references import background_files, pin_references
from app.route.by_name import route_to
from app.route.router import ModelRouter, routes_of
from app.settings import Settings
from app.store.budgets import Caps
from app.store.catalog import Catalog
from app.store.publish import Store, begin_run, new_run_id, open_store, release_all
from app.types import AssetSpec, AtlasPage, Kind, ModelVersion, Refine, Route
from jobs.runtime.artifacts import write_artifacts
from jobs.runtime.progress import RunProgress
from jobs.runtime.ray_data import joined_cluster
from jobs.runtime.summary import Outcomes, RunNotes, Summary

FINISHED_KINDS = frozenset({Kind.ICON, Kind.SPRITE, Kind.POSTER})


class Stopped(KeyboardInterrupt):
    """The run was interrupted and cleaned up; the same command continues it."""


@dataclass(frozen=True, slots=True)
class Run:
    """The values that the stages of one run share."""

    id: str
    plan: Plan
    drafts: Plan | None
    """The plan as its budget's draft model makes it, where it has one."""
    models: Mapping[str, ModelVersion]
    settings: Settings
    store: Store
    routes: Mapping[str, Route]
    budgets: Budgets
    """The spending limits and team shares, as they were when the run began."""
    terms: Mapping[str, GenerationTerms]
    """By model: the price of its images and the budgets they count against."""
    router: ModelRouter
    """Chooses models for the assets of which the plan names no model."""
    refiner: Refiner | None
    """Proposes attempts with a reason; None where the plan asks for none."""
    gate: AcceptanceGate | None
    """The calibrated check of what the rules accept; None where the plan does not configure one."""
    neighbours: Neighbours
    """The accepted images that no other may nearly repeat."""
    forecast: Estimator
    """Estimates what the run may take, by what was known when each model was first used."""
    workers: int | None
    """Generation workers as given; None leaves it to `generation_workers`."""
    progress: RunProgress
    outcomes: Outcomes
    started: float
    ray: ExitStack
    """Holds the cluster from the first row on; a plan that is already made never starts it."""

    def start_ray(self) -> None:
        """Starts or joins the cluster, once for the whole run."""
        self.ray.enter_context(joined_cluster())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Shows progress and keeps the cluster; Ctrl-C becomes `Stopped`, with everything kept."""
        try:
            with self.progress, self.ray:
                yield
        except KeyboardInterrupt as interrupt:
            release_all(self.store, owner=self.id)
            spent = self.store.catalog.run_spending(self.id)
            notes = {"stopped": True, "made": spent.images, "cost_usd": spent.cost_usd}
            self.store.catalog.end_run(self.id, notes)
            raise Stopped(
                f"stopped; the {spent.images} images this run made are kept, "
                "run the same command to go on"
            ) from interrupt


def start_run(
    plan: Plan,
    models: Mapping[str, ModelVersion],
    settings: Settings,
    progress: RunProgress,
    *,
    workers: int | None = None,
) -> Run:
    """Refuses what cannot be made, opens the store, and records that a run begins.

    Raises InvalidRequest before any work is spent.
    """
    started = perf_counter()
    drafts = draft_plan(plan)
    drafts = pin_references(drafts, models, settings) if drafts else None
    routes = _routes(plan, models) | (_routes(drafts, models) if drafts else {})
    require_service(routes.values(), settings)
    prices = price_sheet(settings)
    store = open_store(settings.blobs, settings.catalog)
    run_id = new_run_id()
    shared = budgets(settings)
    terms = _terms(plan, drafts, routes, store, prices, shared, who=settings.user)
    files = background_files(plan)
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
        router=ModelRouter(
            plan.route or RoutePlan(models=(plan.model,)), models, store.catalog, prices
        ),
        refiner=_refiner(plan, record.plan_digest, models, store.catalog),
        gate=open_gate(store.catalog, plan.accept) if plan.accept else None,
        neighbours=Neighbours(_known_fingerprints(plan, record.plan_digest, store.catalog)),
        forecast=Estimator(models, store.catalog, prices),
        workers=workers,
        progress=progress,
        outcomes=Outcomes(count(plan)),
        started=started,
        ray=ExitStack(),
    )


def _known_fingerprints(plan: Plan, plan_digest: str, catalog: Catalog) -> list[KnownImage]:
    return catalog.accepted_before(plan_digest) if plan.unique == "catalog" else []


def _refines(plan: Plan) -> bool:
    return Refine.REASON in {plan.defaults.refine, *(asset.refine for asset in plan.assets)}


def _refiner(
    plan: Plan, plan_digest: str, models: Mapping[str, ModelVersion], catalog: Catalog
) -> Refiner | None:
    """Returns the refiner, by what the catalog knew when the plan was first run."""
    if not _refines(plan):
        return None
    return Refiner(load_statistics(catalog, plan_digest), models, plan.bounds)


def _routes(plan: Plan, models: Mapping[str, ModelVersion]) -> dict[str, Route]:
    """Returns the route to every model that the plan may use, by its name there.

    Raises NoRoute or OutOfBounds for an asset that none of its models can make.
    """
    routes: dict[str, Route] = {}
    for asset in plan.assets:
        variants = first_variants(plan, asset, models)
        possible, refused = routes_of(variants, models)
        if variants and not possible:
            raise refused[variants[-1].model]
        routes |= {name: route_to(resolve(name, models)) for name in refused} | possible
        for spec in variants[:1]:
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
) -> dict[str, GenerationTerms]:
    """Returns the terms of each model's images, by its resolved reference."""
    terms = {}
    longer = MAX_COST_FACTOR if _refines(plan) else 1.0
    for reference, route in routes.items():
        price = prices.price(route.model, route.backend)
        own = _cap(plan.budget, draft=drafts is not None and reference == drafts.model)
        terms[route.model.reference] = GenerationTerms(
            who=who,
            plan=plan.name,
            price=price,
            most_seconds=longer
            * max_attempt_seconds(
                route.model, price, store.catalog.attempt_times(route.model.reference)
            ),
            caps=Caps(own, shared.teams, shared.day),
        )
    return terms


def _cap(budget: Budget | None, *, draft: bool) -> float | None:
    """Returns a model's spending limit: the plan's own models leave the drafts' part alone."""
    if budget is None:
        return None
    return budget.usd if draft else budget.usd - budget.draft_usd


def first_variants(
    plan: Plan, asset: PlanAsset, models: Mapping[str, ModelVersion]
) -> tuple[AssetSpec, ...]:
    """Returns the first specs of one entry, one for each model that may make it; () when it is
    empty.

    Models, kind and generated sizes are the same in all specs of the entry.
    """
    return next(expand_variants(plan.replace(assets=(asset,)), models), ())


def _require_finishing(spec: AssetSpec) -> None:
    if spec.kind not in FINISHED_KINDS:
        raise InvalidRequest(
            f"{spec.name} is a {spec.kind}, which cannot be finished yet; "
            f"use {' or '.join(sorted(FINISHED_KINDS))}"
        )


def finish_run(run: Run, pages: Sequence[AtlasPage]) -> Summary:
    """Counts all outcomes, writes the pages and the contact sheet, and records the run's end."""
    folder = run.settings.home / "runs" / run.id
    spent = run.store.catalog.run_spending(run.id)
    summary = run.outcomes.summary(run.id, spent, perf_counter() - run.started)
    summary = write_artifacts(run.outcomes, pages, summary, run.store, folder, title=run.plan.name)
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
