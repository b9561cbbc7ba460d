"""Waves: a plan of any length in pieces that the driver can hold; the undecided go along."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise, repeat
from math import ceil

from app.accept.gate import Guard
from app.check.duplicates import Neighbours
from app.flow.decide import decide
from app.refine.attempts import Refiner
from app.route.cascade import Rung
from app.route.router import Choice
from app.route.stages import asked_now, current, retries_of, turns_of
from app.types import AssetRecord, AssetSpec, GenerationRequest, Status, Tier
from app.types.candidate import Candidate, Decision
from jobs.runtime.batches import Decided
from jobs.runtime.summary import Fates

WAVE = 4096
"""Assets that join at a time: some 100 MB of the driver's memory with two candidates each."""


@dataclass(slots=True)
class Item:
    """One asset on its way through the rounds; `index` is its place in the plan."""

    index: int
    ways: tuple[AssetSpec, ...]
    """Its spec for each model that may make it; one where the plan names the model."""
    draft: AssetSpec | None = None
    """The same asset of the plan's draft model, to turn to when no money is left for its own."""
    key: str = ""
    choice: Choice | None = None
    """The models it goes to, in their order, where the plan leaves that open."""
    refiner: Refiner | None = None
    """By what attempts with a reason are made, where the plan asks for them."""
    standing: AssetRecord | None = None
    """What an earlier run decided; it keeps the round of its decision, so that a resumed run
    meets the same neighbours in the same order as one that was never stopped."""
    candidates: list[Candidate] = field(default_factory=list)
    rounds: int = 0
    ended: bool = False
    cut_short: str = ""
    """Why an attempt was not begun for lack of money; empty when none was refused."""

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The models' turns; none where there is only one model."""
        return self.choice.way.rungs if self.choice else ()

    @property
    def spec(self) -> AssetSpec:
        """The spec for the model whose turn it is."""
        return self.spec_after(len(self.candidates))

    def spec_after(self, images: int) -> AssetSpec:
        """The spec for the model whose turn it is when so many images are made."""
        return self.way(current(self.rungs, images)[0].name) if self.rungs else self.ways[0]

    def way(self, model: str) -> AssetSpec:
        """The spec for one of its models, as the plan writes it."""
        return next(spec for spec in self.ways if spec.model == model)

    @property
    def asked_now(self) -> tuple[GenerationRequest, ...]:
        """The images to ask for in this round."""
        return asked_now(self.spec, self.rungs, self.candidates, self.refiner)

    @property
    def goes_on(self) -> bool:
        """Whether the next model would start from what this one makes."""
        now = current(self.rungs, len(self.candidates))[0] if self.rungs else None
        return any(rung is now and after.strength for rung, after in pairwise(self.rungs))

    @property
    def heavier(self) -> bool:
        """Whether another model has a turn after all that was made so far."""
        return bool(self.rungs) and len(self.candidates) <= sum(
            rung.images for rung in self.rungs[:-1]
        )

    def made_by(self, decision: Decision) -> AssetSpec:
        """The spec by which the decision's winner was made; without one the present spec."""
        if decision.winner is None or not self.rungs:
            return self.spec
        return self.spec_after(self.candidates.index(decision.winner))

    @property
    def turned(self) -> bool:
        """Whether it has just turned to its draft, of which nothing is known yet."""
        return bool(self.cut_short) and not self.candidates and self.standing is None

    def turn_to_draft(self) -> bool:
        """Begin anew with the draft model; False when there is none. What was made stays stored."""
        if self.draft is None:
            return False
        request = self.draft.request.replace(tier=Tier.DRAFT)
        self.ways, self.draft = (self.draft.replace(request=request),), None
        self.candidates, self.choice = [], None
        return True

    @property
    def waits(self) -> bool:
        """Whether the decision that stands fell in a later round than this one."""
        record = self.standing
        return record is not None and self.rounds < ceil(record.attempts / self.spec.candidates)


def waves(
    assets: Iterable[tuple[AssetSpec, ...]],
    *,
    drafts: Iterable[AssetSpec] | None = None,
    refiner: Refiner | None = None,
    size: int = WAVE,
) -> Iterator[list[Item]]:
    """The plan's assets in their order, `size` at a time, each with its draft if there are any."""
    both = zip(assets, repeat(None)) if drafts is None else zip(assets, drafts, strict=True)
    items = (Item(index, ways, draft, refiner=refiner) for index, (ways, draft) in enumerate(both))
    while wave := list(islice(items, size)):
        yield wave


def decided(
    pending: Sequence[Item],
    neighbours: Neighbours,
    fates: Fates,
    *,
    guard: Guard | None = None,
    last: bool = False,
) -> Iterator[Decided]:
    """End every item whose fate is known now; those decided before take their place in order.

    An item that came to nothing for lack of money turns to its draft instead, if it has one.
    With `last` no further round follows, so that every item ends.
    """
    for item in pending:
        item.rounds += 1
        if item.standing is not None:
            item.ended = last or not item.waits
            if item.ended:
                fates.stood(item.index, item.standing)
                if item.standing.status is Status.ACCEPTED:
                    neighbours.add(item.standing.phash, item.spec.name)
            continue
        decision = decide(
            item.spec, item.candidates, neighbours, guard=guard, more=item.heavier, last=last
        )
        refused = [one.outcome.error for one in item.candidates if one.outcome.refused]
        item.cut_short = refused[0] if refused else item.cut_short
        if refused and decision.status is Status.FAILED and item.turn_to_draft():
            continue
        if decision.status:
            item.ended = True
            spec = item.made_by(decision)
            yield Decided(
                index=item.index,
                key=item.key,
                spec=spec,
                decision=decision,
                attempts=sum(not one.outcome.refused for one in item.candidates),
                turns=turns_of(spec, item.rungs, item.candidates, decision),
                retries=retries_of(
                    item.spec_after, item.rungs, item.candidates, decision, item.refiner
                ),
                explained=item.choice.explained if item.choice else None,
            )
