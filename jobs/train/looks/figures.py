"""Figures of the looks on pictures they never saw: what they find of each defect, what of none."""

from collections.abc import Iterator, Sequence

import numpy as np

from app.check.judge import judge
from app.check.limits import LIMITS
from app.check.looks import LEARNED, Looks
from app.check.network_input import premultiplied
from app.check.planes import Pixels
from app.image.png import read_png
from app.types import Kind, Rule
from app.types.base import Value
from jobs.train.defects.registry import SEVERITIES, DefectClass, classes
from jobs.train.defects.sources import Good, Source, said
from jobs.train.looks.pictures import HASTE, Pool
from jobs.train.starter.data import Drawings

RULES = tuple(rule for rule in LIMITS[Kind.ICON] if rule.check in LEARNED)


class Found(Value):
    """One defect at one severity: how many there were, and how the answers did."""

    defect: str
    severity: int
    count: int
    recall: float
    precision: float
    """Among as many good ones as spoilt ones."""


class Refused(Value):
    """Good pictures of one source, and the shares that each rule refuses."""

    source: str
    count: int
    share: float
    by_rule: dict[str, float]


class LooksFigures(Value):
    """All of it."""

    refused: tuple[Refused, ...]
    found: tuple[Found, ...]


def measure(looks: Looks, pool: Pool, *, count: int) -> LooksFigures:
    """By the limits of `app.check.limits`, on the first `count` pictures for each defect."""
    good = {"drawn": pool.drawn, "the starter's": pool.painted}
    refused = tuple(_refused(looks, source, some) for source, some in good.items())
    share = float(np.average([one.share for one in refused]))
    some = _goods(pool.drawn, count)
    found = [
        _found(looks, one.name, severity, _spoilt(one, severity, some), share)
        for one in classes().values()
        if {*one.ought} & {*LEARNED} and one.steps is None
        for severity in SEVERITIES
    ]
    for steps, hasty in zip(HASTE, pool.hasty, strict=True):
        left = [(one.pixels, one.prompt) for one in _goods(hasty, len(hasty))]
        found.append(_found(looks, "few_steps", 4 - steps, left, share))
    return LooksFigures(refused=refused, found=tuple(found))


def broken(looks: Looks, pixels: Pixels, prompt: str) -> tuple[Rule, ...]:
    """The limits that a picture breaks."""
    scores = looks.measures(premultiplied(pixels), prompt)
    findings = {finding.check for finding in judge(scores, RULES).findings}
    return tuple(rule for rule in RULES if rule.check in findings)


def _goods(drawings: Drawings, count: int) -> list[Good]:
    return [
        Good(
            Source.DRAWN, Kind.ICON, index, said(drawings.label(index)), drawings.pixels[index],
            drawings.label(index),
        )
        for index in range(min(count, len(drawings)))
    ]  # fmt: skip


def _spoilt(one: DefectClass, severity: int, goods: Sequence[Good]) -> Iterator[tuple[Pixels, str]]:
    for good in goods:
        if one.fits(good):
            made = one.inflict(good, severity, np.random.default_rng([good.seed, severity]))
            yield read_png(made.data), made.prompt


def _found(
    looks: Looks,
    defect: str,
    severity: int,
    spoilt: Iterator[tuple[Pixels, str]] | Sequence[tuple[Pixels, str]],
    alarms: float,
) -> Found:
    heard = [bool(broken(looks, pixels, prompt)) for pixels, prompt in spoilt]
    recall = sum(heard) / len(heard)
    precision = recall / (recall + alarms) if recall else 0.0
    return Found(
        defect=defect, severity=severity, count=len(heard), recall=recall, precision=precision
    )


def _refused(looks: Looks, source: str, drawings: Drawings) -> Refused:
    goods = _goods(drawings, len(drawings))
    heard = [broken(looks, good.pixels, good.prompt) for good in goods]
    by_rule = {str(rule): sum(rule in one for one in heard) / len(heard) for rule in RULES}
    share = sum(map(bool, heard)) / len(heard)
    return Refused(source=source, count=len(heard), share=share, by_rule=by_rule)
