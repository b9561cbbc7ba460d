"""Simulated worlds: pictures whose truth is known, scores that tell of it, reviewers who err."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.accept.calibration import LabelledImage
from app.digest import digest
from app.types import Measure

MODEL, STYLE = "painter/1", "style=ink"
MEASURES = (Measure.AGREEMENT, Measure.SHARPNESS, Measure.NOISE, Measure.HALO)


@dataclass(frozen=True, slots=True)
class SimulatedPicture:
    """One picture with the truth about it."""

    key: str
    scores: dict[Measure, float]
    bad: bool


@dataclass(frozen=True, slots=True)
class SimulatedWorld:
    """Pictures of one model; bad ones show it in one of the measures, more or less plainly.

    `moved` is added to every score: another model, say, whose pictures look otherwise.
    """

    seed: int
    share_bad: float = 0.2
    moved: float = 0.0

    def pictures(self, count: int, *, part: str = "") -> list[SimulatedPicture]:
        """So many pictures; the same part, the same ones."""
        draw = np.random.default_rng(int(digest(["world", self.seed, part])[:12], 16))
        bad = draw.random(count) < self.share_bad
        scores = draw.normal(0.5, 0.1, (count, len(MEASURES)))
        where = draw.integers(0, len(MEASURES), count)
        scores[np.arange(count), where] -= bad * draw.uniform(0.15, 0.6, count)
        scores += self.moved
        return [
            SimulatedPicture(
                key=digest([self.seed, part, at]),
                scores=dict(zip(MEASURES, map(float, row), strict=True)),
                bad=bool(is_bad),
            )
            for at, (row, is_bad) in enumerate(zip(scores, bad, strict=True))
        ]


def labelled(
    pictures: Sequence[SimulatedPicture], *, errors: float = 0.0, fair: bool = True, seed: int = 0
) -> list[LabelledImage]:
    """The pictures as a reviewer sees them who errs so often, whatever the truth."""
    draw = np.random.default_rng(seed)
    wrong = draw.random(len(pictures)) < errors
    return [
        LabelledImage(
            key=picture.key,
            scores=picture.scores,
            good=picture.bad == bool(errs),
            model=MODEL,
            style=STYLE,
            fair=fair,
        )
        for picture, errs in zip(pictures, wrong, strict=True)
    ]
