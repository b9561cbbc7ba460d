"""Turns a checked image into its finished sizes: the finishing steps in order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.errors import InvalidRequest
from app.finish.cutout import (
    CLEAR_BELOW,
    OPAQUE_ABOVE,
    SPECK_FRAME_SHARE,
    SPECK_SHARE,
    bleed,
    remove_specks,
    snap_alpha,
    trim_rectangle,
)
from app.image.resize import letterbox, resize
from app.types import GenerationRequest, Pivot, Rect, Size

_SPECKS = f"specks:<{SPECK_SHARE:.1%}-of-largest,<{SPECK_FRAME_SHARE:.2%}-of-frame"
FINISHING: tuple[str, ...] = (
    f"alpha:<{CLEAR_BELOW}=0,>{OPAQUE_ABOVE}=255",
    _SPECKS,
    "resize:fit,premultiplied,shrink=area-linear,enlarge=bicubic-srgb",
    "trim:alpha>0",
    "bleed:nearest",
)
"""The steps with their parameters, in order, as provenance records them."""


@dataclass(frozen=True, slots=True)
class FinishedImage:
    """The image at one target size: RGBA pixels [height, width, 4], trim rectangle and pivot."""

    size: Size
    pixels: npt.NDArray[np.uint8]
    trim: Rect
    pivot: Pivot


def finishing_of(request: GenerationRequest) -> tuple[str, ...]:
    """Returns the steps that this request's images go through."""
    return tuple(step for step in FINISHING if step != _SPECKS or not request.text_layers)


def finish(
    pixels: npt.NDArray[np.uint8], sizes: Sequence[Size], *, pivot: Pivot, text: bool = False
) -> tuple[FinishedImage, ...]:
    """Returns the finished image at each size, in the order given; safe to repeat.

    Takes straight-alpha sRGB bytes [h, w, 4]; raises InvalidRequest for anything else. At the
    original size every visible pixel keeps its colour, and finishing again changes nothing. With
    `text` no specks are removed: the dot of an i is as small.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 4 or not pixels.size:
        raise InvalidRequest(
            f"an image of {pixels.dtype} {list(pixels.shape)} cannot be finished; "
            "give RGBA bytes as uint8 [height, width, 4]"
        )
    snapped = snap_alpha(pixels)
    cutout = snapped if text else remove_specks(snapped)
    return tuple(_finished(cutout, size, pivot) for size in sizes)


def _finished(cutout: npt.NDArray[np.uint8], size: Size, pivot: Pivot) -> FinishedImage:
    # Resampling creates haze of its own, so alpha is snapped again at the final size.
    sized = snap_alpha(resize(cutout, size))
    trim = trim_rectangle(sized)
    box = letterbox(Size(width=cutout.shape[1], height=cutout.shape[0]), size)
    return FinishedImage(
        size=size, pixels=bleed(sized, trim), trim=trim, pivot=_pivot_in(pivot, box, size)
    )


def _pivot_in(pivot: Pivot, box: Rect, target: Size) -> Pivot:
    """Returns the pivot of a frame fitted into this box of the target, as a share of the target.

    It marks the same point of the image at every size; without bars it is the same share.
    """
    return Pivot(
        x=_share(pivot.x, box.x, box.width, target.width),
        y=_share(pivot.y, box.y, box.height, target.height),
    )


def _share(share: float, start: int, length: int, whole: int) -> float:
    return share if length == whole else (start + share * length) / whole
