"""Waves: a plan of any length in parts that the driver can hold; undecided assets carry over."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice, pairwise, repeat
from math import ceil

from app.refine.attempts import Refiner
from app.route.cascade import Stage
from app.route.router import RouteChoice
from app.route.stages import current_stage, next_requests
from app.types import AssetRecord, AssetSpec, GenerationRequest, Status, Tier
from app.types.candidate import Candidate, Decision

WAVE = 4096
"""Assets that join at a time: some 100 MB of the driver's memory with two candidates each."""


class ItemState(StrEnum):
    """Where an asset is in the rounds of a run."""

    NEW = "new"
    """The catalog was not asked yet: it joined now, or has just switched to its draft."""
    EXISTING = "existing"
    """An earlier run decided it; it keeps the round of that decision, so that a resumed run meets
    the same neighbours in the same order as a run that was never stopped."""
    OPEN = "open"
    """Its images of this round are to be made and checked."""
    ENDED = "ended"
    """It has its outcome."""


@dataclass(slots=True)
class Item:
    """One asset on its way through the rounds; `index` is its place in the plan."""

    index: int
    variants: tuple[AssetSpec, ...]
    """Its spec for each model that may make it; one where the plan names the model."""
    draft: AssetSpec | None = None
    """The same asset for the plan's draft model, used when no money is left for its own."""
    refiner: Refiner | None = None
    """Proposes attempts with a reason, where the plan asks for them."""
    key: str = ""
    choice: RouteChoice | None = None
    """The models it goes to, in order, where the plan leaves that open."""
    state: ItemState = ItemState.NEW
    existing: AssetRecord | None = None
    """What an earlier run decided."""
    candidates: list[Candidate] = field(default_factory=list)
    rounds: int = 0
    cut_short: str = ""
    """Why an attempt was not started for lack of money; empty when none was refused."""

    def look_up(self, record: AssetRecord | None) -> None:
        """Takes what the catalog has under the item's key; a failed asset is made again."""
        if record is None or record.status is Status.FAILED:
            self.state = ItemState.OPEN
        else:
            self.existing, self.state = record, ItemState.EXISTING

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

    def switch_to_draft(self) -> bool:
        """Starts again with the draft model; False when there is none. Stored images stay."""
        if self.draft is None:
            return False
        request = self.draft.request.replace(tier=Tier.DRAFT)
        self.variants, self.draft = (self.draft.replace(request=request),), None
        self.candidates, self.choice, self.state = [], None, ItemState.NEW
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
