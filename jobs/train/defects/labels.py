"""Labelled: the world's pictures as labels for a calibration, their truth being known.

Untouched ones are good, spoilt ones bad. A world may be whole, each class and severity alike, or
mixed as a run would be: most pictures good, and now and then one spoilt in any way.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from app.accept.calibrate import LabelLine
from app.digest import digest
from app.errors import InvalidRequest
from app.models.bundled import FOLDERS, read_version
from app.types import Value
from jobs.train.defects import sources
from jobs.train.defects.judging import SampleJudge
from jobs.train.defects.registry import SEVERITIES, DefectClass, classes, is_whole
from jobs.train.defects.sources import Source, WorldPart, seeds
from jobs.train.defects.world import CONTROL, DefectWorld, Sample, WorldExtent, WorldSample


class WrittenLabels(Value):
    """What was written, and where."""

    file: str
    good: int
    bad: int
    passed: int
    """Of all, those that the rules accept."""


def write_labels(file: Path, extent: WorldExtent, judge: SampleJudge) -> WrittenLabels:
    """A line of JSON for each picture of the world, as `atelier checks calibrate --from` reads it.

    Raises InvalidRequest when the file is there already.
    """
    if file.exists():
        raise InvalidRequest(f"{file} is there already; give a new name, or remove it")
    file.parent.mkdir(parents=True, exist_ok=True)
    world, counted = DefectWorld(extent), {"good": 0, "bad": 0, "passed": 0}
    with file.open("w", encoding="utf-8") as lines:
        for made in (*world.controls(), *world.spoilt()):
            line = label(made, judge)
            lines.write(line.model_dump_json() + "\n")
            counted[line.label] += 1
            counted["passed"] += line.passed
    return WrittenLabels(file=str(file), **counted)


def label(made: WorldSample, judge: SampleJudge) -> LabelLine:
    """The picture's scores with the truth about it, and whether its kind's rules accept it."""
    judged = judge.judge(made)
    return LabelLine(
        scores=judged.scores,
        label="bad" if made.sample.severity else "good",
        key=digest([made.sample.file, made.sample.prompt]),
        model=_model(made.sample.source),
        passed=not judged.by_rules,
    )


def mixed_samples(number: int, count: int, *, share_bad: float) -> Iterator[WorldSample]:
    """Drawn icons of a world's evaluation seeds, this share of them spoilt, class by chance."""
    rng = np.random.default_rng([number, count])
    known = [
        defect_class
        for defect_class in classes().values()
        if Source.DRAWN in defect_class.sources and not defect_class.steps
    ]
    for seed in seeds(WorldPart.EVALUATION, number)[:count]:
        good = sources.drawn(seed)
        fitting = [defect_class for defect_class in known if defect_class.fits(good)]
        if rng.random() >= share_bad:
            yield WorldSample(_sample(CONTROL, 0, good), is_whole(good), good)
            continue
        defect_class: DefectClass = fitting[int(rng.integers(len(fitting)))]
        severity = int(rng.choice(SEVERITIES))
        spoilt = defect_class.apply(good, severity, np.random.default_rng([seed, severity]))
        yield WorldSample(_sample(defect_class.name, severity, good), spoilt, good)


def _sample(defect: str, severity: int, good: sources.GoodImage) -> Sample:
    height, width = good.pixels.shape[:2]
    return Sample(
        file=f"{defect}-{severity}-{good.source}-{good.seed}.png",
        defect=defect,
        severity=severity,
        source=good.source,
        seed=good.seed,
        kind=good.kind,
        prompt=good.prompt,
        width=width,
        height=height,
    )


def _model(source: Source) -> str:
    """As runs name it, so that the labels count for the starter's own pictures there."""
    return read_version(FOLDERS["starter"]).reference if source is Source.STARTER else source.value
