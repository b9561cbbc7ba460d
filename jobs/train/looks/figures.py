"""Measures the appearance model on held-out images: defects found, good images refused."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from app.check.judge import judge
from app.check.limits import LIMITS
from app.check.looks import APPEARANCE_MEASURES, AppearanceModel
from app.check.planes import Pixels, premultiplied
from app.image.png import read_png
from app.types import Kind, Rule
from app.types.base import Value
from jobs.train.defects.registry import SEVERITIES, DefectClass, classes
from jobs.train.defects.sources import GoodImage, Source, phrase
from jobs.train.looks.pictures import FEW_STEPS, PicturePool
from jobs.train.starter.data import Drawings

RULES = tuple(rule for rule in LIMITS[Kind.ICON] if rule.check in APPEARANCE_MEASURES)


class DefectRecall(Value):
    """The recall and precision for one defect at one severity, over `count` images."""

    defect: str
    severity: int
    count: int
    recall: float
    precision: float
    """Precision among as many good images as defective ones."""


class RefusalShare(Value):
    """The share of one source's good images that is refused, in all and by each rule."""

    source: str
    count: int
    share: float
    by_rule: dict[str, float]


class LooksFigures(Value):
    """All figures of the card: good images refused, and defects found."""

    refused: tuple[RefusalShare, ...]
    found: tuple[DefectRecall, ...]


def measure(looks: AppearanceModel, pool: PicturePool, *, count: int) -> LooksFigures:
    """Returns the figures by the limits of `app.check.limits`.

    Each defect is applied to the first `count` drawings.
    """
    sources = {"drawn": pool.drawn, "the starter's": pool.painted}
    refused = tuple(_refused(looks, source, images) for source, images in sources.items())
    share = float(np.average([refusal.share for refusal in refused]))
    good = _good_images(pool.drawn, count)
    recalls = [
        _recall(looks, defect_class.name, severity, _defective(defect_class, severity, good), share)
        for defect_class in classes().values()
        if {*defect_class.measures} & {*APPEARANCE_MEASURES} and defect_class.steps is None
        for severity in SEVERITIES
    ]
    for steps, drawings in zip(FEW_STEPS, pool.unfinished, strict=True):
        images = _good_images(drawings, len(drawings))
        unfinished = [(image.pixels, image.prompt) for image in images]
        recalls.append(_recall(looks, "few_steps", 4 - steps, unfinished, share))
    return LooksFigures(refused=refused, found=tuple(recalls))


def broken(looks: AppearanceModel, pixels: Pixels, prompt: str) -> tuple[Rule, ...]:
    """Returns the rules that an image breaks."""
    scores = looks.measures(premultiplied(pixels), prompt)
    findings = {finding.check for finding in judge(scores, RULES).findings}
    return tuple(rule for rule in RULES if rule.check in findings)


def _good_images(drawings: Drawings, count: int) -> list[GoodImage]:
    return [
        GoodImage(
            Source.DRAWN, Kind.ICON, index, phrase(drawings.label(index)), drawings.pixels[index],
            drawings.label(index),
        )
        for index in range(min(count, len(drawings)))
    ]  # fmt: skip


def _defective(
    defect_class: DefectClass, severity: int, images: Sequence[GoodImage]
) -> Iterator[tuple[Pixels, str]]:
    for good in images:
        if defect_class.fits(good):
            rng = np.random.default_rng([good.seed, severity])
            defective = defect_class.apply(good, severity, rng)
            yield read_png(defective.data), defective.prompt


def _recall(
    looks: AppearanceModel,
    defect: str,
    severity: int,
    images: Iterable[tuple[Pixels, str]],
    false_alarms: float,
) -> DefectRecall:
    refused = [bool(broken(looks, pixels, prompt)) for pixels, prompt in images]
    recall = sum(refused) / len(refused)
    precision = recall / (recall + false_alarms) if recall else 0.0
    return DefectRecall(
        defect=defect, severity=severity, count=len(refused), recall=recall, precision=precision
    )


def _refused(looks: AppearanceModel, source: str, drawings: Drawings) -> RefusalShare:
    images = _good_images(drawings, len(drawings))
    broken_rules = [broken(looks, image.pixels, image.prompt) for image in images]
    count = len(broken_rules)
    by_rule = {str(rule): sum(rule in rules for rules in broken_rules) / count for rule in RULES}
    share = sum(map(bool, broken_rules)) / count
    return RefusalShare(source=source, count=count, share=share, by_rule=by_rule)
