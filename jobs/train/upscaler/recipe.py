"""Every number of the upscaler's recipe."""

from dataclasses import dataclass, field
from typing import Self

from app.models.upscaler import UpscalerConfig
from jobs.train.upscaler.figures import FigureSettings
from jobs.train.upscaler.learning import LearningSettings
from jobs.train.upscaler.pairs import PairSettings


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of every stage."""

    network: UpscalerConfig = field(default_factory=UpscalerConfig)
    pairs: PairSettings = field(default_factory=PairSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)
    figures: FigureSettings = field(default_factory=FigureSettings)

    @classmethod
    def tiny(cls) -> Self:
        """Every stage in a few seconds, for tests; the pictures mean nothing."""
        return cls(
            network=UpscalerConfig(channels=8, deep=8, blocks=1, fine=4),
            pairs=PairSettings(training=8, validation=2, held_out=3, steps=4),
            learning=LearningSettings(samples=48, batch=4, crop=16, evaluate_every=6),
            figures=FigureSettings(pictures=16, steps=2, large=1),
        )
