"""Writes the images of a defect world as labels for a calibration; their truth is known.

Untouched images are good, images with a defect are bad. A world is either complete (every class and
severity equally often) or mixed like a run: most images good, and some with a random defect.
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
    """How many of all images the rules accept."""


def write_labels(file: Path, extent: WorldExtent, judge: SampleJudge) -> WrittenLabels:
    """Writes one line of JSON for each image of the world, for `atelier checks calibrate --from`.

    Raises InvalidRequest when the file exists already.
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
    """Returns the image's scores, its true label, and whether its kind's rules accept it."""
    judged = judge.judge(made)
    return LabelLine(
        scores=judged.scores,
        label="bad" if made.sample.severity else "good",
        key=digest([made.sample.file, made.sample.prompt]),
        model=_model(made.sample.source),
        passed=not judged.by_rules,
    )


def mixed_samples(number: int, count: int, *, share_bad: float) -> Iterator[WorldSample]:
    """Yields drawn icons of a world's evaluation seeds; about `share_bad` of them get a defect.

    Class and severity are random, but the same arguments give the same samples.
    """
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
    """Returns the name that runs use, so that the labels apply to the starter's images there."""
    return read_version(FOLDERS["starter"]).reference if source is Source.STARTER else source.value
