"""Limits: optional limits for measures that no kind limits by default, or not so strictly.

Two or three in a hundred good images of the starter model break any of them, and one drawing in a
hundred, at 64 pixels, the size it renders at. `python -m jobs dev bench-checks` counts what they
catch.
They fit the starter's style. Another model's images may have glows, glints and many colours by
design, so no kind requires them by default: a plan names those that it wants.
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
"""Replaces a kind's rules for the same measures."""
TEXT_LIMITS = (Rule(check=Measure.TEXT_CONTRAST, at_least=3),)
"""For images with text: what WCAG 2 level AA requires of large letters."""
REFERENCE_LIMITS = (
    Rule(check=Measure.LIKENESS, at_least=0.95),
    Rule(check=Measure.PALETTE_DISTANCE, at_most=4),
    Rule(check=Measure.DIFFERENCE, at_most=0.05),
)
"""For images that should look like a known reference image."""
