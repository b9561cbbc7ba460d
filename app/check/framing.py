"""Framing: the position and size of a subject in its canvas, and the background around it."""

from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray

from app.check.palette import lab, rgb
from app.check.planes import HALF, Pixels

TRANSPARENT, PLATE = "transparent", "plate"
_CLEAR, _SOLID = 26, 230
"""Alphas up to a tenth are clear, from nine tenths on solid."""
GROUND_TOLERANCE = 10.0
"""How far a plain background may differ from its colour, in units of CIE Lab."""


@dataclass(frozen=True, slots=True)
class Framing:
    """The position of the subject's bounding box, in shares of the canvas."""

    share: float
    """The larger of the box's width and height relative to the canvas, 0 to 1."""
    margin: float
    """The smallest distance from the box to the canvas edge, of the shorter side, 0 to 0.5."""
    off_centre: float
    """The distance from the box's centre to the canvas's, relative to the shorter side, from 0."""


def framing(pixels: Pixels, ground: str = TRANSPARENT) -> Framing | None:
    """Returns the subject's framing in RGBA [height, width, 4]; None if there is no subject.

    The subject is what is at least half opaque; on a coloured background, what also differs from
    it.
    """
    subject = _subject(pixels, ground)
    rows, columns = np.flatnonzero(subject.any(axis=1)), np.flatnonzero(subject.any(axis=0))
    if not len(rows):
        return None
    height, width = subject.shape
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    shorter = min(height, width)
    middle = ((left + right - width) / 2, (top + bottom - height) / 2)
    return Framing(
        share=float(max((right - left) / width, (bottom - top) / height)),
        margin=float(min(left, top, width - right, height - bottom) / shorter),
        off_centre=hypot(*middle) / shorter,
    )


def ground_error(pixels: Pixels, ground: str) -> float:
    """Returns the share of the outermost pixel ring that is not the background, 0 to 1.

    The background is `transparent`, a `plate` that covers the whole canvas, or a colour as #rrggbb.
    """
    ring = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    if ground == TRANSPARENT:
        return float((ring[:, 3] > _CLEAR).mean())
    right = ring[:, 3] >= _SOLID
    if ground != PLATE:
        right &= _apart(ring[:, :3], ground) <= GROUND_TOLERANCE
    return float(1 - right.mean())


def _subject(pixels: Pixels, ground: str) -> NDArray[np.bool_]:
    opaque: NDArray[np.bool_] = pixels[..., 3] >= HALF
    if ground in (TRANSPARENT, PLATE):
        return opaque
    differs = _apart(pixels[..., :3].reshape(-1, 3), ground) > GROUND_TOLERANCE
    return opaque & differs.reshape(opaque.shape)


def _apart(colours: Pixels, ground: str) -> NDArray[np.float32]:
    """Returns each colour's distance from the background's in CIE Lab."""
    pixel = np.array([rgb(ground)], np.uint8)
    return np.asarray(np.linalg.norm(lab(colours) - lab(pixel), axis=1))
