"""Writes the scores of a defect world with their true labels, for a calibration.

Untouched images are good, images with a defect are bad. A world is either complete (every class and
severity equally often) or mixed like a run: most images good, and some with a random defect.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from app.accept.calibrate import LabelLine
from app.digest import digest
from app.errors import InvalidRequest
from app.models.bundled import FOLDERS, read_version
from app.types import Value
from jobs.train.defects import sources
from jobs.train.defects.judging import SampleJudge
from jobs.train.defects.registry import SEVERITIES, DefectClass, classes
from jobs.train.defects.sources import Source, WorldPart, seeds
from jobs.train.defects.world import DefectWorld, WorldExtent, WorldSample, control, sample_of


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
        raise InvalidRequest(f"{file} already exists; give a new name, or remove it")
    file.parent.mkdir(parents=True, exist_ok=True)
    world, counts = DefectWorld(extent), {"good": 0, "bad": 0, "passed": 0}
    with file.open("w", encoding="utf-8") as lines:
        for entry in chain(world.controls(), world.spoilt()):
            line = label(entry, judge)
            lines.write(line.model_dump_json() + "\n")
            counts[line.label] += 1
            counts["passed"] += line.passed
    return WrittenLabels(file=str(file), **counts)


def label(entry: WorldSample, judge: SampleJudge) -> LabelLine:
    """Returns the image's scores, its true label, and whether the rules of its kind accept it."""
    judged, sample = judge.judge(entry), entry.sample
    return LabelLine(
        scores=judged.scores,
        label="bad" if sample.severity else "good",
        key=digest([sample.file, sample.prompt]),
        model=_model(sample.source),
        passed=not judged.by_rules,
    )


def mixed_samples(number: int, count: int, *, share_bad: float) -> Iterator[WorldSample]:
    """Yields drawn icons of a world's evaluation seeds; about `share_bad` of them get a defect.

    Class and severity are random, but the same arguments give the same samples.
    """
    rng = np.random.default_rng([number, count])
    drawn_classes = [
        defect_class
        for defect_class in classes().values()
        if Source.DRAWN in defect_class.sources and not defect_class.steps
    ]
    for seed in seeds(WorldPart.EVALUATION, number)[:count]:
        good = sources.drawn(seed)
        if rng.random() >= share_bad:
            yield control(good)
            continue
        fitting = [defect_class for defect_class in drawn_classes if defect_class.fits(good)]
        defect_class: DefectClass = fitting[int(rng.integers(len(fitting)))]
        severity = int(rng.choice(SEVERITIES))
        defective = defect_class.apply(good, severity, np.random.default_rng([seed, severity]))
        sample = sample_of(defect_class.name, severity, good, good.prompt)
        yield WorldSample(sample, defective, good)


def _model(source: Source) -> str:
    """Returns the name that runs use, so that the labels apply to the starter's images there."""
    return read_version(FOLDERS["starter"]).reference if source is Source.STARTER else source.value
