"""Limits: what may be demanded of the measures that no kind demands by itself, or not so strictly.

Two or three in a hundred good pictures of the starter break any of them, and one drawing in a
hundred; at 64 pixels, the size it paints at. `python -m jobs dev bench-checks` counts
what they catch.
They hold for the starter's look. Another model's pictures may well have glows, glints and many
colours by design, so no kind demands them by itself: a plan writes those that it wants.
"""

from app.types import Kind, Measure, Rule

_CUTOUT = (
    Rule(check=Measure.SHARPNESS, at_least=0.55),
    Rule(check=Measure.FRAGMENTS, at_most=0.005),
    Rule(check=Measure.FRINGE, at_most=0.13),
    Rule(check=Measure.HALO, at_most=0.0015),
    Rule(check=Measure.NOISE, at_most=0.019),
    Rule(check=Measure.BLOTCHES, at_most=0.135),
    Rule(check=Measure.BANDING, at_most=0.77),
    Rule(check=Measure.BLOCKINESS, at_most=0.5),
    Rule(check=Measure.CLIPPING, at_most=0.01),
    Rule(check=Measure.AGREEMENT, at_least=0.81),
    Rule(check=Measure.STYLE, at_least=0.05),
    Rule(check=Measure.ON_MODEL, at_least=0.2),
    Rule(check=Measure.FINISHED, at_least=0.04),
    Rule(check=Measure.CRISP, at_least=0.1),
    Rule(check=Measure.COMPOSITION, at_least=0.6),
)
LIMITS: dict[Kind, tuple[Rule, ...]] = {
    Kind.ICON: _CUTOUT,
    Kind.SPRITE: _CUTOUT,
    Kind.PRODUCT: _CUTOUT,
    Kind.TEXTURE: (Rule(check=Measure.SEAM, at_most=0.5),),
    Kind.POSTER: (),
}
"""To be put in the place of a kind's rules for the same measures."""
TEXT_LIMITS = (Rule(check=Measure.TEXT_CONTRAST, at_least=3),)
"""Where text is set: what WCAG 2 asks of large letters at level AA."""
REFERENCE_LIMITS = (
    Rule(check=Measure.LIKENESS, at_least=0.95),
    Rule(check=Measure.PALETTE_DISTANCE, at_most=4),
    Rule(check=Measure.DIFFERENCE, at_most=0.05),
)
"""Where a picture should look like one that is known."""
