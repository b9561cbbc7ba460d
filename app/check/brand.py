"""Brand: the measures that a plan's brand rules need, each in a function of its own.

Only what a brand names is measured. What cannot be measured in an image has no score, which the
judge treats as a broken rule.
"""

from collections.abc import Callable, Mapping, Sequence

from app.check.framing import TRANSPARENT, Framing, framing, ground_error
from app.check.light_direction import light_error
from app.check.palette import palette_error
from app.check.planes import Pixels
from app.types import BrandRule, Measure


def brand_scores(pixels: Pixels, rules: Sequence[BrandRule]) -> dict[Measure, float]:
    """Returns a score for each rule with a brand measure, of RGBA pixels [height, width, 4]."""
    scores = {rule.check: _MEASURED[rule.check](pixels, rule) for rule in rules
             if rule.check in _MEASURED}  # fmt: skip
    return {measure: score for measure, score in scores.items() if score is not None}


def _palette(pixels: Pixels, rule: BrandRule) -> float | None:
    return palette_error(pixels, rule.colours)


def _light(pixels: Pixels, rule: BrandRule) -> float | None:
    return light_error(pixels, rule.angle)


def _share(pixels: Pixels, rule: BrandRule) -> float | None:
    framing = _framing(pixels, rule)
    return framing.share if framing else None


def _margin(pixels: Pixels, rule: BrandRule) -> float | None:
    framing = _framing(pixels, rule)
    return framing.margin if framing else None


def _off_centre(pixels: Pixels, rule: BrandRule) -> float | None:
    framing = _framing(pixels, rule)
    return framing.off_centre if framing else None


def _framing(pixels: Pixels, rule: BrandRule) -> Framing | None:
    return framing(pixels, rule.ground or TRANSPARENT)


def _ground(pixels: Pixels, rule: BrandRule) -> float | None:
    return ground_error(pixels, rule.ground)


def _resolution(pixels: Pixels, rule: BrandRule) -> float | None:
    return float(min(pixels.shape[:2]))


_MEASURED: Mapping[Measure, Callable[[Pixels, BrandRule], float | None]] = {
    Measure.PALETTE_ERROR: _palette,
    Measure.LIGHT_ERROR: _light,
    Measure.SUBJECT_SHARE: _share,
    Measure.MARGIN: _margin,
    Measure.OFF_CENTRE: _off_centre,
    Measure.GROUND_ERROR: _ground,
    Measure.RESOLUTION: _resolution,
}
