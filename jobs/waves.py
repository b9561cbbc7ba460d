"""Waves: a plan of any length in pieces that the driver can hold; the undecided go along."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import ceil

from app.attempt import Candidate
from app.check.similarity import Neighbours
from app.decide import decide
from app.types import AssetRecord, AssetSpec, Status
from jobs.batches import Decided
from jobs.summary import Fates

WAVE = 4096
"""Assets that join at a time: some 100 MB of the driver's memory with two candidates each."""


@dataclass(slots=True)
class Item:
    """One asset on its way through the rounds; `index` is its place in the plan."""

    index: int
    spec: AssetSpec
    standing: AssetRecord | None = None
    """What an earlier run decided; it keeps the round of its decision, so that a resumed run
    meets the same neighbours in the same order as one that was never stopped."""
    candidates: list[Candidate] = field(default_factory=list)
    rounds: int = 0
    ended: bool = False

    @property
    def waits(self) -> bool:
        """Whether the decision that stands fell in a later round than this one."""
        record = self.standing
        return record is not None and self.rounds < ceil(record.attempts / self.spec.candidates)


def waves(specs: Iterable[AssetSpec], *, size: int = WAVE) -> Iterator[list[Item]]:
    """The plan's assets in their order, `size` at a time."""
    items = (Item(index, spec) for index, spec in enumerate(specs))
    while wave := list(islice(items, size)):
        yield wave


def decided(
    pending: Sequence[Item], neighbours: Neighbours, fates: Fates, *, last: bool = False
) -> Iterator[Decided]:
    """End every item whose fate is known now; those decided before take their place in order.

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
        if decision.status:
            item.ended = True
            yield Decided(
                index=item.index,
                spec=item.spec,
                decision=decision,
                attempts=len(item.candidates),
            )
