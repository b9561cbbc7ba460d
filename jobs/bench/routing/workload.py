"""The workload of the benchmark: a game's icons, some of them large, and some posters with text."""

from collections.abc import Mapping

from app.plan.expand import expand_variants
from app.plan.schema import AUTO, Plan, RoutePlan
from app.types import AssetSpec, ModelVersion
from jobs.train.starter.drawings import COLOURS, KINDS

MODELS = ("pruned", "starter", "polish", "typography")
"""From light to heavy, as a plan would name them."""
WORDS = ("SALE", "QUEST", "LEVEL", "BONUS", "READY", "POWER")
CONFIDENCE = 0.9
ATTEMPTS = 3


def plan(*, seed: int, cascade: bool, colours: int, posters: int) -> Plan:
    """Returns a plan of every kind of object in this many colours as icons, with heroes and
    posters.

    Icons have 64 px; heroes, a sixteenth as many, 256 px; posters have a word to be set.
    """
    shades = list(COLOURS)[:colours]
    large = {"width": 256, "height": 256}
    return Plan.model_validate(
        {
            "atelier": 1,
            "name": "routing",
            "seed": seed,
            "model": AUTO,
            "route": RoutePlan(models=MODELS, confidence=CONFIDENCE, cascade=cascade),
            "defaults": {
                "kind": "icon",
                "candidates": 1,
                "attempts": ATTEMPTS,
                "rules": [{"check": "duplicate_distance", "at_least": 0}],
            },
            "assets": [
                {
                    "name": "icon",
                    "prompt": "a {colour} {object}",
                    "axes": {"colour": shades, "object": list(KINDS)},
                    "sizes": [{"width": 64, "height": 64}],
                },
                {
                    "name": "hero",
                    "prompt": "a {colour} {object}",
                    "axes": {"colour": shades[:2], "object": list(KINDS)},
                    "sizes": [large],
                    **large,
                },
                {
                    "name": "poster",
                    "kind": "poster",
                    "prompt": "a {colour} gem",
                    "axes": {"colour": shades[:2], "word": list(WORDS[:posters])},
                    "sizes": [large],
                    "text_layers": [{"text": "{word}", "plate": "auto"}],
                    **large,
                },
            ],
        }
    )


def assets(written: Plan, models: Mapping[str, ModelVersion]) -> list[tuple[AssetSpec, ...]]:
    """Returns the spec of each asset for every model."""
    return list(expand_variants(written, models))
