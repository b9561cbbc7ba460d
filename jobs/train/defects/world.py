"""The world: every class at every severity on the same good pictures, and untouched controls."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from app.types import Kind, Measure, Value
from jobs.train.defects import sources as goods
from jobs.train.defects.registry import SEVERITIES, DefectClass, Spoilt, classes, whole
from jobs.train.defects.sources import Good, Painter, Part, Source, seeds

CONTROL = "control"
_CONTROLS_FROM = 50_000
"""Controls are other pictures than those that are spoilt."""


class Sample(Value):
    """One line of the manifest: what was done to what, and which measures ought to speak."""

    file: str
    defect: str
    """A class's name, or `control`."""
    severity: int
    """1 to 3; 0 for a control."""
    source: Source
    seed: int
    kind: Kind
    prompt: str
    """What was asked for when the picture came; for a wrong object not what it shows."""
    text: str = ""
    width: int
    height: int
    ought: tuple[Measure, ...] = ()
    deterministic: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """A sample with its file and with what it came from."""

    sample: Sample
    spoilt: Spoilt
    good: Good
    reference: bool = False
    """Whether it should have looked like the good picture."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a world is, and which of all."""

    count: int
    """Pictures of each class and severity."""
    controls: int
    number: int = 0
    part: Part = Part.EVALUATION
    texts: int = 8
    """Of posters at most so many a class and severity: reading takes a second each."""
    painted: bool = True
    """Whether the starter's pictures take part; without them nothing is loaded."""


class World:
    """The same extent gives the same samples, byte for byte, on the same libraries."""

    def __init__(self, extent: Extent) -> None:
        self.extent = extent
        self._seeds = seeds(extent.part, extent.number)
        self._painter = Painter()

    def controls(self) -> Iterator[Made]:
        """Untouched: drawn ones, as many of the starter up to 320, textures and posters."""
        numbers = self._seeds[_CONTROLS_FROM:][: self.extent.controls]
        for number in numbers:
            yield _control(goods.drawn(number))
        for good in self._painter.paint(numbers[:320]) if self.extent.painted else ():
            yield _control(good)
        for number in numbers[:200]:
            yield _control(goods.texture(number))
        for number in numbers[: self.extent.texts]:
            yield _control(goods.poster(number))

    def spoilt(self) -> Iterator[Made]:
        """Class by class, severity by severity."""
        for index, one in enumerate(self.classes):
            for severity in SEVERITIES:
                for good in self.pictures(one, severity):
                    rng = np.random.default_rng([good.seed, index, severity])
                    spoilt = one.inflict(good, severity, rng)
                    yield Made(_sample(one, severity, good, spoilt), spoilt, good, one.reference)

    @property
    def classes(self) -> list[DefectClass]:
        """Those that can be made with the sources there are."""
        every = classes().values()
        return [one for one in every if self.extent.painted or one.steps is None]

    def pictures(self, one: DefectClass, severity: int) -> Iterator[Good]:
        """As many good pictures as are asked for, from the class's sources in turn."""
        count = self.extent.count
        if one.steps is not None:
            yield from self._painter.paint(
                self._seeds[:count], steps=one.steps[severity - 1], guidance=1.0
            )
        elif Source.DRAWN in one.sources:
            painted = [good for good in self._painted if one.fits(good)][: count // 2]
            drawn = (good for good in map(goods.drawn, self._seeds) if one.fits(good))
            yield from painted
            yield from islice(drawn, count - len(painted))
        elif Source.POSTER in one.sources:
            yield from map(goods.poster, self._seeds[: min(count, self.extent.texts)])
        else:
            yield from map(goods.texture, self._seeds[:count])

    @cached_property
    def _painted(self) -> list[Good]:
        """Twice what most classes need, so that one that fits few pictures finds some."""
        if not self.extent.painted:
            return []
        return self._painter.paint(self._seeds[1_000:][: self.extent.count])


def _control(good: Good) -> Made:
    return Made(_row(CONTROL, 0, good, good.prompt), whole(good), good)


def _sample(one: DefectClass, severity: int, good: Good, spoilt: Spoilt) -> Sample:
    row = _row(one.name, severity, good, spoilt.prompt)
    return row.replace(ought=one.ought, deterministic=one.deterministic)


def _row(defect: str, severity: int, good: Good, prompt: str) -> Sample:
    height, width = good.pixels.shape[:2]
    return Sample(
        file=f"{defect}-{severity}-{good.source}-{good.seed}.png",
        defect=defect,
        severity=severity,
        source=good.source,
        seed=good.seed,
        kind=good.kind,
        prompt=prompt,
        text=" ".join(layer.text for layer in good.layers),
        width=width,
        height=height,
    )
