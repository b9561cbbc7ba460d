"""The workload of the benchmark: a game's icons, requested with settings of which some are poor."""

from collections.abc import Mapping

from app.plan.expand import expand
from app.plan.schema import Plan
from app.types import AssetSpec, ModelVersion, Refine, Value
from jobs.train.starter.drawings import COLOURS, KINDS

ATTEMPTS = 6


class PoorSettings(Value):
    """A model and the settings that a plan uses with it."""

    model: str
    steps: int
    guidance: float

    def __str__(self) -> str:
        """Returns the setting as a table prints it: starter, 2 steps, guidance 3."""
        return f"{self.model}, {self.steps} steps, guidance {self.guidance:g}"


POOR_SETTINGS = (
    PoorSettings(model="starter", steps=2, guidance=2),
    PoorSettings(model="starter", steps=2, guidance=3),
    PoorSettings(model="pruned", steps=4, guidance=1),
)
"""Too few steps for some guidance, for more of it, and a model without one of its blocks."""
GOOD_SETTINGS = PoorSettings(model="starter", steps=4, guidance=1)
"""Almost nothing fails here, so that there is nothing to gain."""


def assets(
    setting: PoorSettings,
    refine: Refine,
    models: Mapping[str, ModelVersion],
    *,
    seed: int,
    colours: int,
) -> list[AssetSpec]:
    """Returns every kind of object in this many colours, one candidate a round."""
    plan = Plan.model_validate(
        {
            "atelier": 1,
            "name": "refine",
            "seed": seed,
            "model": setting.model,
            "defaults": {
                "kind": "icon",
                "candidates": 1,
                "attempts": ATTEMPTS,
                "refine": refine,
                "num_inference_steps": setting.steps,
                "guidance_scale": setting.guidance,
                "rules": [{"check": "duplicate_distance", "at_least": 0}],
            },
            "assets": [
                {
                    "name": "icon",
                    "prompt": "a {colour} {object}",
                    "axes": {"colour": list(COLOURS)[:colours], "object": list(KINDS)},
                    "sizes": [{"width": 64, "height": 64}],
                }
            ],
        }
    )
    return list(expand(plan, models))
