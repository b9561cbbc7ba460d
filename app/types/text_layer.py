"""A text layer over an image: the requested text, in pixels and colours."""

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints

from app.types.base import Pixels, Rect, Value

Colour: TypeAlias = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
"""Lower case only, so that one colour has one spelling and one digest."""
ColourOrNone: TypeAlias = Annotated[str, StringConstraints(pattern=r"^(#[0-9a-f]{6})?$")]
ColourOrAuto: TypeAlias = Annotated[str, StringConstraints(pattern=r"^(auto|#[0-9a-f]{6})?$")]


BAND_SHARE = 4
"""Text without a box gets this part of the canvas: below the image, or beside it when wide."""
WIDE_RATIO = 1.5
MARGIN = 24
"""The margin is the side divided by this."""


class TextLayer(Value):
    """Text set in a real font over the image, as large as box and size limits allow."""

    text: Annotated[str, Field(min_length=1, max_length=500)]
    """Line breaks are kept; longer lines are wrapped."""
    font: Annotated[str, Field(max_length=120)] = ""
    """A font's name, never a path; empty is the bundled default."""
    font_digest: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    """The digest of the font file, filled in when a request is accepted: pixels depend on it."""
    box: Rect | None = None
    """Nothing is drawn outside it; None is the whole image within a margin."""
    colour: Colour = "#000000"
    alignment: Literal["left", "centre", "right"] = "centre"
    vertical_alignment: Literal["top", "middle", "bottom"] = "middle"
    direction: Literal["auto", "ltr", "rtl"] = "auto"
    """auto: each line of the text follows its first strongly directed letter."""
    min_size_px: Pixels = 1
    max_size_px: Pixels = 4096
    """Limits of the font size (the em); illegible sizes are refused whatever the limits."""
    line_spacing: Annotated[float, Field(ge=0.8, le=3)] = 1.2
    """Distance between baselines, in font sizes."""
    shadow: ColourOrNone = ""
    """The colour of a soft shadow; empty is none."""
    outline: ColourOrAuto = ""
    """Empty is none; auto: black or white, but only if the text's contrast needs it."""
    plate: ColourOrAuto = ""
    """The same for a plate behind the text; where both are auto, the outline is tried first."""


def with_boxes(layers: Sequence[TextLayer], width: int, height: int) -> tuple[TextLayer, ...]:
    """Returns the layers with a box each; those without one share a band of the canvas in order."""
    loose = [layer for layer in layers if layer.box is None]
    slots = iter(_slots(_band(width, height), len(loose)))
    return tuple(
        layer if layer.box is not None else layer.replace(box=next(slots)) for layer in layers
    )


def _band(width: int, height: int) -> Rect:
    margin = min(width, height) // MARGIN
    if width >= WIDE_RATIO * height:
        left = width // 2
        return Rect(x=left, y=margin, width=width - left - margin, height=height - 2 * margin)
    top = height - height // BAND_SHARE
    return Rect(x=margin, y=top, width=width - 2 * margin, height=height - top - margin)


def _slots(band: Rect, count: int) -> list[Rect]:
    step = band.height // max(1, count)
    return [
        Rect(x=band.x, y=band.y + index * step, width=band.width, height=step)
        for index in range(count)
    ]
