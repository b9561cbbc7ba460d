"""Learn: the catalog's own verdicts become a policy."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from app.route.policy import Pace, Policy
from app.route.success_model import Reliability, Seen, learn, reliability
from app.types import AssetRecord, Status, Turn

FEWEST = 40
"""Assets below which half of them say nothing about the other half."""


def learn_policy(records: Sequence[AssetRecord]) -> Policy:
    """What the records say of every model that had a turn at them; their order plays no part."""
    turns = [(record, turn) for record in records for turn in turns_of(record)]
    return Policy(
        chances=learn(_seen(record, turn) for record, turn in turns),
        paces=_paces(turns),
        assets=len(records),
        learned_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        reliability=_reliability(turns) if len(records) >= FEWEST else None,
    )


def turns_of(record: AssetRecord) -> tuple[Turn, ...]:
    """The record's turns; one of before turns were kept had its one model's."""
    if record.turns or not record.attempts:
        return record.turns
    passed = int(record.status is Status.ACCEPTED)
    return (Turn(model=record.model, tried=record.attempts, passed=passed, seconds=0),)


def _seen(record: AssetRecord, turn: Turn) -> Seen:
    return Seen(
        model=turn.model,
        kind=record.spec.kind,
        labels=record.spec.labels,
        after=turn.after,
        tried=turn.tried,
        passed=turn.passed,
    )


def _paces(turns: Sequence[tuple[AssetRecord, Turn]]) -> dict[str, Pace]:
    """Of images that were begun from nothing: those that went on from a picture took less."""
    seconds: dict[str, float] = defaultdict(float)
    images: dict[str, int] = defaultdict(int)
    for _, turn in turns:
        if turn.seconds and "~" not in turn.after:
            seconds[turn.model] += turn.seconds
            images[turn.model] += turn.tried
    return {
        model: Pace(seconds=seconds[model] / images[model], images=images[model])
        for model in sorted(images)
    }


def _reliability(turns: Sequence[tuple[AssetRecord, Turn]]) -> Reliability:
    """Learned from half of the assets, by their keys; foretold is each turn's first round."""
    halves = [[(r, t) for r, t in turns if int(r.key[0], 16) % 2 == side] for side in (0, 1)]
    pairs = [*_foretold(halves[0], halves[1]), *_foretold(halves[1], halves[0])]
    return reliability([chance for chance, _ in pairs], [came for _, came in pairs])


def _foretold(
    known: Sequence[tuple[AssetRecord, Turn]], asked: Sequence[tuple[AssetRecord, Turn]]
) -> Iterator[tuple[float, bool]]:
    chances = learn(_seen(record, turn) for record, turn in known)
    for record, turn in asked:
        at_once = record.spec.candidates
        belief = chances.of(turn.model, record.spec.kind, record.spec.labels, after=turn.after)
        yield belief.passes(at_once), turn.passed > 0 and turn.tried <= at_once
