"""Decisions: which models an asset goes to, and when it is decided, in the plan's order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.accept.gate import AcceptanceGate, open_gate
from app.check.duplicates import Neighbours
from app.costs.estimate import Estimator
from app.flow.decide import decide
from app.flow.prepare import PreparedPlan
from app.plan.schema import RoutePlan
from app.refine.attempts import Refiner
from app.refine.statistics import load_statistics
from app.route.router import ModelRouter
from app.route.stages import retries_of, stage_results
from app.store.catalog import Catalog
from app.types import Status
from app.types.candidate import DecidedAsset, Decision
from jobs.runtime.summary import Outcomes
from jobs.runtime.waves import Item, ItemState


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a run decides by: statistics and labels as they were when it began."""

    router: ModelRouter
    """Chooses models for the assets that name none."""
    refiner: Refiner | None
    """Proposes attempts with a reason; None where the plan asks for none."""
    gate: AcceptanceGate | None
    """The calibrated check of what the rules accept; None where the plan does not configure one."""
    neighbours: Neighbours
    """The accepted images that no other may nearly repeat."""
    forecast: Estimator
    """Estimates what the run may take, by what was known when each model was first used."""

    def choose_routes(self, wave: Sequence[Item]) -> None:
        """Chooses models for the assets that name none, by the success rates known now.

        Adds what is to be made of the wave to the forecast.
        """
        self.router.refresh()
        to_make = [item for item in wave if item.state is ItemState.OPEN]
        for item in to_make:
            if len(item.variants) > 1:
                item.choice = self.router.choose(item.variants, item.key)
                plan = item.choice.plan
                self.forecast.expect(plan.images, plan.seconds, plan.usd)
        self.forecast.add_all(item.spec for item in to_make if item.choice is None)

    def decide(
        self, pending: Sequence[Item], outcomes: Outcomes, *, last: bool = False
    ) -> Iterator[DecidedAsset]:
        """Yields what `decide_items` yields, by the run's own neighbours and gate."""
        return decide_items(pending, self.neighbours, outcomes, gate=self.gate, last=last)


def open_decisions(prepared: PreparedPlan, plan_digest: str, catalog: Catalog) -> Decisions:
    """Returns the decisions of one run, by what the catalog knows now.

    Statistics for attempts with a reason are those of the plan's first run.
    """
    plan, models, prices = prepared.plan, prepared.models, prepared.prices
    known = catalog.accepted_before(plan_digest) if plan.unique == "catalog" else []
    refiner = (
        Refiner(load_statistics(catalog, plan_digest), models, plan.bounds)
        if prepared.refines
        else None
    )
    return Decisions(
        router=ModelRouter(plan.route or RoutePlan(models=(plan.model,)), models, catalog, prices),
        refiner=refiner,
        gate=open_gate(catalog, plan.accept) if plan.accept else None,
        neighbours=Neighbours(known),
        forecast=Estimator(models, catalog, prices),
    )


def decide_items(
    pending: Sequence[Item],
    neighbours: Neighbours,
    outcomes: Outcomes,
    *,
    gate: AcceptanceGate | None = None,
    last: bool = False,
) -> Iterator[DecidedAsset]:
    """Ends every item that can be decided now; existing decisions take their place in order.

    An item that failed for lack of money switches to its draft instead, if it has one. With `last`
    no further round follows, so every item ends.
    """
    for item in pending:
        item.rounds += 1
        if item.existing is not None:
            if last or not item.decided_later:
                _reuse(item, neighbours, outcomes)
            continue
        decision = decide(
            item.spec,
            item.candidates,
            neighbours,
            gate=gate,
            more=item.has_heavier_model,
            last=last,
        )
        if _switches_to_draft(item, decision):
            continue
        if decision.status:
            item.state = ItemState.ENDED
            yield _decided(item, decision)


def _reuse(item: Item, neighbours: Neighbours, outcomes: Outcomes) -> None:
    assert item.existing is not None
    item.state = ItemState.ENDED
    outcomes.reuse(item.index, item.existing)
    if item.existing.status is Status.ACCEPTED:
        neighbours.add(item.existing.phash, item.spec.name)


def _switches_to_draft(item: Item, decision: Decision) -> bool:
    """Notes why money was refused, if it was; returns whether the item starts again as a draft."""
    outcomes = [candidate.outcome for candidate in item.candidates]
    refused = next((outcome.error for outcome in outcomes if outcome.refused), "")
    item.cut_short = refused or item.cut_short
    return bool(refused) and decision.status is Status.FAILED and item.switch_to_draft()


def _decided(item: Item, decision: Decision) -> DecidedAsset:
    spec = item.made_by(decision)
    return DecidedAsset(
        index=item.index,
        key=item.key,
        spec=spec,
        decision=decision,
        attempts=sum(not candidate.outcome.refused for candidate in item.candidates),
        turns=stage_results(spec, item.stages, item.candidates, decision),
        retries=retries_of(item.spec_after, item.stages, item.candidates, decision, item.refiner),
        explained=item.choice.explained if item.choice else None,
    )
