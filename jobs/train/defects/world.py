"""The defect world: every class at every severity on the same good images, and controls."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from app.types import Kind, Measure, Value
from jobs.train.defects import sources
from jobs.train.defects.registry import SEVERITIES, DefectClass, DefectiveImage, classes, unchanged
from jobs.train.defects.sources import GoodImage, Source, StarterRenderer, WorldPart, seeds

CONTROL = "control"
_CONTROLS_FROM = 50_000
"""Index of the first seed of the controls, so that they differ from the images with defects."""


class Sample(Value):
    """One line of the manifest: which defect was applied to which image.

    `ought` lists the measures that should detect it.
    """

    file: str
    defect: str
    """The name of a class, or `control`."""
    severity: int
    """1 to 3; 0 for a control."""
    source: Source
    seed: int
    kind: Kind
    prompt: str
    """The prompt that the checks get; an image with a wrong object shows something else."""
    text: str = ""
    width: int
    height: int
    ought: tuple[Measure, ...] = ()
    deterministic: bool = False


@dataclass(frozen=True, slots=True)
class WorldSample:
    """A sample with its file and the good image it was made from."""

    sample: Sample
    spoilt: DefectiveImage
    good: GoodImage
    reference: bool = False
    """Whether the sample should have looked like the good image."""


@dataclass(frozen=True, slots=True)
class WorldExtent:
    """The size of a world, and its number."""

    count: int
    """Images of each class and severity."""
    controls: int
    number: int = 0
    part: WorldPart = WorldPart.EVALUATION
    texts: int = 8
    """Most posters of a class and severity: reading their text takes a second each."""
    painted: bool = True
    """Whether the starter's images are included; without them no model is loaded."""


class DefectWorld:
    """The defect world of one extent.

    The same extent gives the same samples, byte for byte, on the same libraries.
    """

    def __init__(self, extent: WorldExtent) -> None:
        self.extent = extent
        self._seeds = seeds(extent.part, extent.number)
        self._renderer = StarterRenderer()

    def controls(self) -> Iterator[WorldSample]:
        """Yields the untouched images.

        They are drawn icons, as many of the starter up to 320, up to 200 textures, and posters.
        """
        seeds = self._seeds[_CONTROLS_FROM:][: self.extent.controls]
        yield from map(control, map(sources.drawn, seeds))
        if self.extent.painted:
            yield from map(control, self._renderer.render(seeds[:320]))
        yield from map(control, map(sources.texture, seeds[:200]))
        yield from map(control, map(sources.poster, seeds[: self.extent.texts]))

    def spoilt(self) -> Iterator[WorldSample]:
        """Yields the samples with defects, ordered by class and then by severity."""
        for index, defect_class in enumerate(self.classes):
            for severity in SEVERITIES:
                for good in self.pictures(defect_class, severity):
                    rng = np.random.default_rng([good.seed, index, severity])
                    defective = defect_class.apply(good, severity, rng)
                    sample = sample_of(defect_class.name, severity, good, defective.prompt).replace(
                        ought=defect_class.measures, deterministic=defect_class.deterministic
                    )
                    yield WorldSample(sample, defective, good, defect_class.reference)

    @property
    def classes(self) -> list[DefectClass]:
        """Returns the classes that can be made from the sources of this world."""
        return [
            defect_class
            for defect_class in classes().values()
            if self.extent.painted or defect_class.steps is None
        ]

    def pictures(self, defect_class: DefectClass, severity: int) -> Iterator[GoodImage]:
        """Yields up to `extent.count` good images from the class's sources.

        A class for icons takes up to half of them from the starter; posters are limited to
        `extent.texts`.
        """
        count = self.extent.count
        if defect_class.steps is not None:
            yield from self._renderer.render(
                self._seeds[:count], steps=defect_class.steps[severity - 1], guidance=1.0
            )
        elif Source.DRAWN in defect_class.sources:
            rendered = [good for good in self._rendered if defect_class.fits(good)][: count // 2]
            drawn = filter(defect_class.fits, map(sources.drawn, self._seeds))
            yield from rendered
            yield from islice(drawn, count - len(rendered))
        elif Source.POSTER in defect_class.sources:
            yield from map(sources.poster, self._seeds[: min(count, self.extent.texts)])
        else:
            yield from map(sources.texture, self._seeds[:count])

    @cached_property
    def _rendered(self) -> list[GoodImage]:
        """Returns twice as many images of the starter as a class takes, as not all fit it."""
        if not self.extent.painted:
            return []
        return self._renderer.render(self._seeds[1_000:][: self.extent.count])


def control(good: GoodImage) -> WorldSample:
    """Returns the good image, unchanged, as a sample of severity 0."""
    return WorldSample(sample_of(CONTROL, 0, good, good.prompt), unchanged(good), good)


def sample_of(defect: str, severity: int, good: GoodImage, prompt: str) -> Sample:
    """Returns the line of the manifest for a defect of a good image, without its measures."""
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
