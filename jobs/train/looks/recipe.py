"""Every number of the looks' recipe."""

from dataclasses import dataclass, field
from typing import Self

from jobs.train.looks.learning import LearningSettings
from jobs.train.looks.pictures import PictureSettings


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of every stage."""

    pictures: PictureSettings = field(default_factory=PictureSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)
    figures: int = 80
    """Held-out drawings that every defect is put into for the card."""

    @classmethod
    def tiny(cls) -> Self:
        """Every stage in a few seconds, for tests; the answers mean nothing."""
        return cls(
            pictures=PictureSettings(drawn=24, painted=2, held_out_drawn=8, held_out_painted=2),
            learning=LearningSettings(steps=3, good=4, spoilt=2),
            figures=4,
        )
