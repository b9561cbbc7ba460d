"""Every number of the recipe: how much is drawn, how long each part trains, how it is scored."""

from dataclasses import dataclass, field
from typing import Self

from jobs.train.starter.critic_training import JudgeSettings
from jobs.train.starter.flow_matching import FlowSettings
from jobs.train.starter.transformer import TransformerSettings
from jobs.train.starter.vae import TuningSettings, VaeSettings


@dataclass(frozen=True, slots=True)
class DrawingSettings:
    """How many drawings each set holds."""

    training: int = 33_600
    validation: int = 960
    calibration: int = 1_920
    fresh: int = 960
    edition: int = 1
    """Increase it when the renderer changes, so that old sets are not reused."""


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """How the finished model is scored, and the guidance scales that its default is chosen from."""

    prompts: int = 320
    """Number of plain captions, every kind and colour in turn, each with its own seed."""
    styled: int = 240
    long: int = 32
    """How many images are made again with the pipeline's default of 256 zero tokens."""
    steps: int = 12
    guidances: tuple[float, ...] = (1.5, 2.0, 3.0)
    choosing: int = 160
    """Prompts for choosing the guidance, with seeds that the score does not use."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of every stage."""

    drawings: DrawingSettings = field(default_factory=DrawingSettings)
    vae: VaeSettings = field(default_factory=VaeSettings)
    tuning: TuningSettings = field(default_factory=TuningSettings)
    transformer: TransformerSettings = field(default_factory=TransformerSettings)
    flow: FlowSettings = field(default_factory=FlowSettings)
    judges: JudgeSettings = field(default_factory=JudgeSettings)
    scores: ScoreSettings = field(default_factory=ScoreSettings)
    preview_every: int = 1_500
    """Steps between two preview sheets in the work folder; a multiple of `flow.evaluate_every`."""

    @classmethod
    def tiny(cls) -> Self:
        """Returns a recipe whose stages take a few seconds, for tests; the images mean nothing."""
        return cls(
            drawings=DrawingSettings(training=48, validation=16, calibration=16, fresh=16),
            vae=VaeSettings(channels=(16, 16, 16, 16), samples=16, batch=8),
            tuning=TuningSettings(samples=16, batch=8),
            transformer=TransformerSettings(
                layers=1, heads=2, head_width=16, text_widths=(16, 16), text_layers=(1, 1)
            ),
            flow=FlowSettings(samples=32, batch=8, evaluate_every=2),
            judges=JudgeSettings(critic_samples=32, classifier_samples=16, softened=16, batch=8),
            scores=ScoreSettings(
                prompts=16, styled=8, long=2, steps=2, guidances=(2.0, 3.0), choosing=8
            ),
            preview_every=4,
        )
