"""Waves: a plan of any length in pieces that the driver can hold; the undecided go along."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from math import ceil

from app.attempt import Candidate
from app.check.similarity import Neighbours
from app.decide import decide
from app.types import AssetRecord, AssetSpec, Status, Tier
from jobs.batches import Decided
from jobs.summary import Fates

WAVE = 4096
"""Assets that join at a time: some 100 MB of the driver's memory with two candidates each."""


@dataclass(slots=True)
class Item:
    """One asset on its way through the rounds; `index` is its place in the plan."""

    index: int
    spec: AssetSpec
    draft: AssetSpec | None = None
    """The same asset of the plan's draft model, to turn to when no money is left for its own."""
    standing: AssetRecord | None = None
    """What an earlier run decided; it keeps the round of its decision, so that a resumed run
    meets the same neighbours in the same order as one that was never stopped."""
    candidates: list[Candidate] = field(default_factory=list)
    rounds: int = 0
    ended: bool = False
    cut_short: str = ""
    """Why an attempt was not begun for lack of money; empty when none was refused."""

    @property
    def turned(self) -> bool:
        """Whether it has just turned to its draft, of which nothing is known yet."""
        return bool(self.cut_short) and not self.candidates and self.standing is None

    def turn_to_draft(self) -> bool:
        """Begin anew with the draft model; False when there is none. What was made stays stored."""
        if self.draft is None:
            return False
        request = self.draft.request.replace(tier=Tier.DRAFT)
        self.spec, self.draft = self.draft.replace(request=request), None
        self.candidates = []
        return True

    @property
    def waits(self) -> bool:
        """Whether the decision that stands fell in a later round than this one."""
        record = self.standing
        return record is not None and self.rounds < ceil(record.attempts / self.spec.candidates)


def waves(
    specs: Iterable[AssetSpec],
    *,
    drafts: Iterable[AssetSpec] | None = None,
    size: int = WAVE,
) -> Iterator[list[Item]]:
    """The plan's assets in their order, `size` at a time, each with its draft if there are any."""
    both = zip(specs, repeat(None)) if drafts is None else zip(specs, drafts, strict=True)
    items = (Item(index, spec, draft) for index, (spec, draft) in enumerate(both))
    while wave := list(islice(items, size)):
        yield wave


def decided(
    pending: Sequence[Item], neighbours: Neighbours, fates: Fates, *, last: bool = False
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
        decision = decide(item.spec, item.candidates, neighbours, last=last)
        refused = [one.outcome.error for one in item.candidates if one.outcome.refused]
        item.cut_short = refused[0] if refused else item.cut_short
        if refused and decision.status is Status.FAILED and item.turn_to_draft():
            continue
        if decision.status:
            item.ended = True
            yield Decided(
                index=item.index,
                spec=item.spec,
                decision=decision,
                attempts=sum(not one.outcome.refused for one in item.candidates),
            )
