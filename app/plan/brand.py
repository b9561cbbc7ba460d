"""Brand: how every image of a plan must look, as data; one check measures each rule.

It is part of the plan, or in a file of its own that several plans share.
"""

import re
from collections.abc import Iterator
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints

from app.plan.fields import Limits, RangeText, refuse
from app.types import BrandRule, Measure, Value, Verdict

LONGEST_PATH = 200
GROUNDS = ("transparent", "plate")
_RING = 0.1
"""The share of the outermost ring that the subject may cover: a blade may touch the edge."""
_COLOUR = re.compile(r"#[0-9a-f]{6}")


def _colour(text: str) -> str:
    if not _COLOUR.fullmatch(text.lower()):
        raise refuse("is not a colour", 'write six digits in quotes: "#c62f2f"')
    return text.lower()


def _ground(text: str) -> str:
    if text in GROUNDS:
        return text
    if not _COLOUR.fullmatch(text.lower()):
        remedy = f'write {", ".join(GROUNDS)}, or a colour in quotes: "#f4efe2"'
        raise refuse("is not a background", remedy)
    return text.lower()


Colour: TypeAlias = Annotated[str, AfterValidator(_colour)]
Ground: TypeAlias = Annotated[str, AfterValidator(_ground)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class BrandPalette(Value):
    """At least nine tenths of an image's colours must be this close to one of these."""

    colours: Annotated[tuple[Colour, ...], Field(min_length=1, max_length=64)]
    tolerance: Annotated[float, Field(ge=1, le=150)] = 20.0
    """In units of CIE Lab; shading alone changes a colour by 20 or 30."""


class BrandLight(Value):
    """The direction of the light in degrees: 0 is above, 90 the right, 315 the upper left."""

    angle: Annotated[float, Field(ge=0, le=360)]
    tolerance: Annotated[float, Field(ge=1, le=180)] = 45.0


class BrandFraming(Value):
    """The position and size of the subject, in shares of the canvas."""

    share: Limits | None = None
    """The larger of its width and height."""
    margin: Annotated[float, Field(ge=0, le=0.5)] | None = None
    """The smallest distance to any edge."""
    centring: Share | None = None
    """The largest distance of its centre from the canvas's centre."""


class BrandTechnical(Value):
    """Technical requirements of every image."""

    resolution: Annotated[int, Field(ge=1, le=4096)] | None = None
    """The shorter side in pixels, as generated."""
    contrast: Annotated[float, Field(ge=0, le=0.5)] | None = None
    format: Annotated[str, StringConstraints(pattern="^png$")] | None = None
    """A whole PNG with 8-bit RGBA in sRGB, the format that Atelier makes."""


class Brand(Value):
    """A complete brand; its rules are added to the plan's own and replace none of them."""

    file: Annotated[str, Field(max_length=LONGEST_PATH)] = ""
    """The file it was read from, by a path relative to the plan's folder."""
    digest: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    """The sha256 of that file's bytes, filled in when the plan is read."""
    folder: str = Field("", exclude=True)
    """The folder of the plan file on the machine that read it; never recorded."""
    palette: BrandPalette | None = None
    light: BrandLight | None = None
    framing: BrandFraming | None = None
    background: Ground | None = None
    """`transparent`, `plate` for an image that covers its canvas, or a colour."""
    technical: BrandTechnical | None = None
    otherwise: Verdict = Verdict.RETRY
    """The verdict when one of its rules is broken."""


PILLARS = {
    "palette": Measure.PALETTE_ERROR,
    "light": Measure.LIGHT_ERROR,
    "framing.share": Measure.SUBJECT_SHARE,
    "framing.margin": Measure.MARGIN,
    "framing.centring": Measure.OFF_CENTRE,
    "background": Measure.GROUND_ERROR,
    "technical.resolution": Measure.RESOLUTION,
    "technical.contrast": Measure.CONTRAST,
    "technical.format": Measure.DECODES,
}
"""The check that measures each rule of a brand."""


def brand_rules(brand: Brand | None) -> tuple[BrandRule, ...]:
    """Returns the rules of a brand in the order of `PILLARS`, for the judge; empty without one."""
    if brand is None:
        return ()
    ground = brand.background or ""
    return tuple(
        BrandRule(
            check=PILLARS[pillar], pillar=pillar, at_least=limits.at_least,
            at_most=limits.at_most, otherwise=brand.otherwise, ground=ground,
            colours=brand.palette.colours if brand.palette and pillar == "palette" else (),
            angle=brand.light.angle if brand.light and pillar == "light" else 0.0,
        )
        for pillar, limits in _limits(brand)
    )  # fmt: skip


def _limits(brand: Brand) -> Iterator[tuple[str, RangeText]]:
    """Yields the limits of each rule that the brand sets."""
    framing, technical = brand.framing or BrandFraming(), brand.technical or BrandTechnical()
    if brand.palette:
        yield "palette", RangeText(at_most=brand.palette.tolerance)
    if brand.light:
        yield "light", RangeText(at_most=brand.light.tolerance)
    if framing.share:
        yield "framing.share", framing.share
    if framing.margin is not None:
        yield "framing.margin", RangeText(at_least=framing.margin)
    if framing.centring is not None:
        yield "framing.centring", RangeText(at_most=framing.centring)
    if brand.background:
        yield "background", RangeText(at_most=_RING)
    if technical.resolution is not None:
        yield "technical.resolution", RangeText(at_least=technical.resolution)
    if technical.contrast is not None:
        yield "technical.contrast", RangeText(at_least=technical.contrast)
    if technical.format is not None:
        yield "technical.format", RangeText(at_least=1)
