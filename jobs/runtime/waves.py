"""Waves: a plan of any length in parts that the driver can hold; undecided assets carry over."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise, repeat
from math import ceil

from app.accept.gate import AcceptanceGate
from app.check.duplicates import Neighbours
from app.flow.decide import decide
from app.refine.attempts import Refiner
from app.route.cascade import Stage
from app.route.router import RouteChoice
from app.route.stages import current_stage, next_requests, retries_of, stage_results
from app.types import AssetRecord, AssetSpec, GenerationRequest, Status, Tier
from app.types.candidate import Candidate, Decision
from jobs.runtime.batches import DecidedAsset
from jobs.runtime.summary import Outcomes

WAVE = 4096
"""Assets that join at a time: some 100 MB of the driver's memory with two candidates each."""


@dataclass(slots=True)
class Item:
    """One asset on its way through the rounds; `index` is its place in the plan."""

    index: int
    variants: tuple[AssetSpec, ...]
    """Its spec for each model that may make it; one where the plan names the model."""
    draft: AssetSpec | None = None
    """The same asset for the plan's draft model, used when no money is left for its own."""
    key: str = ""
    choice: RouteChoice | None = None
    """The models it goes to, in order, where the plan leaves that open."""
    refiner: Refiner | None = None
    """Proposes attempts with a reason, where the plan asks for them."""
    existing: AssetRecord | None = None
    """What an earlier run decided; it keeps the round of its decision, so that a resumed run meets
    the same neighbours in the same order as one that was never stopped.
    """
    candidates: list[Candidate] = field(default_factory=list)
    rounds: int = 0
    ended: bool = False
    cut_short: str = ""
    """Why an attempt was not started for lack of money; empty when none was refused."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Returns the stages of the model cascade; () where there is only one model."""
        return self.choice.plan.rungs if self.choice else ()

    @property
    def spec(self) -> AssetSpec:
        """Returns the spec for the model of the current stage."""
        return self.spec_after(len(self.candidates))

    def spec_after(self, images: int) -> AssetSpec:
        """Returns the spec for the model of the stage after this many images."""
        return (
            self.variant(current_stage(self.stages, images)[0].name)
            if self.stages
            else self.variants[0]
        )

    def variant(self, model: str) -> AssetSpec:
        """Returns the spec for one of its models, as the plan writes it."""
        return next(spec for spec in self.variants if spec.model == model)

    @property
    def next_requests(self) -> tuple[GenerationRequest, ...]:
        """Returns the requests of this round."""
        return next_requests(self.spec, self.stages, self.candidates, self.refiner)

    @property
    def continues(self) -> bool:
        """Returns whether the next model would start from what this one makes."""
        now = current_stage(self.stages, len(self.candidates))[0] if self.stages else None
        return any(stage is now and after.strength for stage, after in pairwise(self.stages))

    @property
    def has_heavier_model(self) -> bool:
        """Returns whether another model follows after the images made so far."""
        return bool(self.stages) and len(self.candidates) <= sum(
            stage.images for stage in self.stages[:-1]
        )

    def made_by(self, decision: Decision) -> AssetSpec:
        """Returns the spec that made the decision's winner; without a winner the present spec."""
        if decision.winner is None or not self.stages:
            return self.spec
        return self.spec_after(self.candidates.index(decision.winner))

    @property
    def just_drafted(self) -> bool:
        """Returns whether it has just switched to its draft, which was not looked up yet."""
        return bool(self.cut_short) and not self.candidates and self.existing is None

    def switch_to_draft(self) -> bool:
        """Starts again with the draft model; False when there is none. Stored images stay."""
        if self.draft is None:
            return False
        request = self.draft.request.replace(tier=Tier.DRAFT)
        self.variants, self.draft = (self.draft.replace(request=request),), None
        self.candidates, self.choice = [], None
        return True

    @property
    def decided_later(self) -> bool:
        """Returns whether the existing decision was made in a later round than this one."""
        record = self.existing
        return record is not None and self.rounds < ceil(record.attempts / self.spec.candidates)


def waves(
    assets: Iterable[tuple[AssetSpec, ...]],
    *,
    drafts: Iterable[AssetSpec] | None = None,
    refiner: Refiner | None = None,
    size: int = WAVE,
) -> Iterator[list[Item]]:
    """Yields the plan's assets in order, `size` at a time, each with its draft if there are any."""
    both = zip(assets, repeat(None)) if drafts is None else zip(assets, drafts, strict=True)
    items = (
        Item(index, variants, draft, refiner=refiner)
        for index, (variants, draft) in enumerate(both)
    )
    while wave := list(islice(items, size)):
        yield wave


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
            item.ended = last or not item.decided_later
            if item.ended:
                outcomes.reuse(item.index, item.existing)
                if item.existing.status is Status.ACCEPTED:
                    neighbours.add(item.existing.phash, item.spec.name)
            continue
        decision = decide(
            item.spec,
            item.candidates,
            neighbours,
            gate=gate,
            more=item.has_heavier_model,
            last=last,
        )
        refused = [
            candidate.outcome.error for candidate in item.candidates if candidate.outcome.refused
        ]
        item.cut_short = refused[0] if refused else item.cut_short
        if refused and decision.status is Status.FAILED and item.switch_to_draft():
            continue
        if decision.status:
            item.ended = True
            spec = item.made_by(decision)
            yield DecidedAsset(
                index=item.index,
                key=item.key,
                spec=spec,
                decision=decision,
                attempts=sum(not candidate.outcome.refused for candidate in item.candidates),
                turns=stage_results(spec, item.stages, item.candidates, decision),
                retries=retries_of(
                    item.spec_after, item.stages, item.candidates, decision, item.refiner
                ),
                explained=item.choice.explained if item.choice else None,
            )
