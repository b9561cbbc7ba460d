"""Prepare: settles a plan's models, drafts, routes, prices and limits once, for everything after.

A run, a rerun, a forecast and a watch of the same plan start from the same value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from app.errors import InvalidRequest
from app.fleet.prices import Budgets, PriceSheet, budgets, price_sheet
from app.fleet.versions import resolve
from app.generate.terms import GenerationTerms, max_attempt_seconds
from app.plan.expand import count, draft_plan, expand, expand_variants
from app.plan.read import read_plan
from app.plan.schema import Plan, PlanAsset
from app.refine.changes import MAX_COST_FACTOR
from app.registry.references import available_models, pin_references
from app.route.by_name import route_to
from app.route.router import routes_of
from app.settings import Settings
from app.store.budgets import Caps
from app.store.catalog import Catalog
from app.types import AssetSpec, Kind, ModelVersion, Refine, Route

FINISHED_KINDS = frozenset({Kind.ICON, Kind.SPRITE, Kind.POSTER})


@dataclass(frozen=True)
class PreparedPlan:
    """A plan that can be made: every alias is a version, every asset has a route."""

    plan: Plan
    drafts: Plan | None
    """The plan as its budget's draft model makes it, where it has one."""
    models: Mapping[str, ModelVersion]
    """The versions by the references that plans use."""
    routes: Mapping[str, Route]
    """The route to every model that the plan may use, by its name there."""
    prices: PriceSheet
    budgets: Budgets

    @cached_property
    def count(self) -> int:
        """Returns the number of assets."""
        return count(self.plan)

    @property
    def refines(self) -> bool:
        """Returns whether any asset may get attempts with a reason."""
        return Refine.REASON in {
            self.plan.defaults.refine, *(asset.refine for asset in self.plan.assets)
        }  # fmt: skip

    def assets(self) -> Iterator[tuple[AssetSpec, ...]]:
        """Yields each asset's specs in the plan's order, one for each model that may make it."""
        return expand_variants(self.plan, self.models)

    def draft_specs(self) -> Iterator[AssetSpec] | None:
        """Returns each asset's spec for the draft model; None without one."""
        return expand(self.drafts, self.models) if self.drafts else None

    def entry_specs(self, asset: PlanAsset) -> tuple[AssetSpec, ...]:
        """Returns the first specs of one entry, one for each model; () when it is empty.

        Models, kind and generated sizes are the same in all specs of the entry.
        """
        return _entry_specs(self.plan, asset, self.models)

    def terms(self, catalog: Catalog, *, who: str) -> dict[str, GenerationTerms]:
        """Returns the terms of each model's images, by its resolved reference."""
        longer = MAX_COST_FACTOR if self.refines else 1.0
        return {
            route.model.reference: GenerationTerms(
                who=who,
                plan=self.plan.name,
                price=(price := self.prices.price(route.model, route.backend)),
                most_seconds=longer
                * max_attempt_seconds(
                    route.model, price, catalog.attempt_times(route.model.reference)
                ),
                caps=Caps(self._spending_limit(name), self.budgets.teams, self.budgets.day),
            )
            for name, route in self.routes.items()
        }

    def _spending_limit(self, model: str) -> float | None:
        """Returns a model's limit: the plan's own models leave the drafts' part alone."""
        budget = self.plan.budget
        if budget is None:
            return None
        draft = self.drafts is not None and model == self.drafts.model
        return budget.usd if draft else budget.usd - budget.draft_usd


def prepare(
    plan: Plan, settings: Settings, *, models: Mapping[str, ModelVersion] | None = None
) -> PreparedPlan:
    """Returns the plan with everything settled that does not depend on the catalog.

    `models` are those with which the plan was read, so that no alias is looked up twice. Raises
    NoRoute, OutOfBounds or InvalidRequest for an asset that none of its models can make or that
    cannot be finished, for an unknown font, and for a faulty file of prices or budgets.
    """
    models = available_models(settings) if models is None else models
    plan = pin_references(plan, models, settings)
    drafts = draft_plan(plan)
    drafts = pin_references(drafts, models, settings) if drafts else None
    return PreparedPlan(
        plan=plan,
        drafts=drafts,
        models=models,
        routes=_routes(plan, models) | (_routes(drafts, models) if drafts else {}),
        prices=price_sheet(settings),
        budgets=budgets(settings),
    )


def prepare_file(path: Path, settings: Settings, *, allow_large: bool = False) -> PreparedPlan:
    """Reads a plan's file and prepares it; no alias is looked up twice.

    Raises PlanError with every fault of the file, and what `prepare` raises.
    """
    models = available_models(settings)
    plan = read_plan(path, allow_large=allow_large, models=models)
    return prepare(plan, settings, models=models)


def _entry_specs(
    plan: Plan, asset: PlanAsset, models: Mapping[str, ModelVersion]
) -> tuple[AssetSpec, ...]:
    return next(expand_variants(plan.replace(assets=(asset,)), models), ())


def _routes(plan: Plan, models: Mapping[str, ModelVersion]) -> dict[str, Route]:
    routes: dict[str, Route] = {}
    for asset in plan.assets:
        variants = _entry_specs(plan, asset, models)
        possible, refused = routes_of(variants, models)
        if variants and not possible:
            raise refused[variants[-1].model]
        routes |= {name: route_to(resolve(name, models)) for name in refused} | possible
        for spec in variants[:1]:
            _require_finishing(spec)
    return routes


def _require_finishing(spec: AssetSpec) -> None:
    if spec.kind not in FINISHED_KINDS:
        raise InvalidRequest(
            f"{spec.name} is a {spec.kind}, which cannot be finished yet; "
            f"use {' or '.join(sorted(FINISHED_KINDS))}"
        )
