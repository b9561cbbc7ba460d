"""Light direction: from which side an image's subject is lit, by the slope of its luminance."""

from math import atan2, degrees, hypot

import numpy as np
from numpy.typing import NDArray

from app.check.palette import lab
from app.check.planes import Pixels, Planes

WEAKEST = 0.015
"""The slope of luminance over the subject's radius below which there is no direction."""
_FEWEST = 50
_HUES, _NEUTRAL, _GREY = 12, 12, 8.0


def light_error(pixels: Pixels, angle: float) -> float | None:
    """Returns the degrees between the light's direction and the angle, 0 to 180, or None.

    None where no direction can be measured.
    """
    seen_angle = light_angle(pixels)
    if seen_angle is None:
        return None
    apart = abs(seen_angle - angle) % 360
    return min(apart, 360 - apart)


def light_angle(pixels: Pixels) -> float | None:
    """Returns where the light comes from, in degrees clockwise from above, 0 to 360.

    None where nothing is shaded. Takes RGBA [height, width, 4]. A plane is fitted to the luminance
    inside the subject, with a separate offset for each hue: a dark part below a light one is no
    shading.
    """
    planes = Planes(pixels)
    rows, columns = np.nonzero(planes.inside)
    if len(rows) < _FEWEST:
        return None
    place = np.stack([columns, rows], axis=1).astype(np.float64)
    place = (place - place.mean(axis=0)) / max(float(place.std(axis=0).mean()) * 2, 1e-9)
    hues = _hues(pixels[rows, columns, :3])
    across = _within(place, hues)
    luma = _within(planes.luma[rows, columns][:, None].astype(np.float64), hues)
    slope = np.linalg.lstsq(across, luma[:, 0], rcond=None)[0]
    right, down = float(slope[0]), float(slope[1])
    if hypot(right, down) < WEAKEST:
        return None
    return degrees(atan2(right, -down)) % 360


def _hues(colours: Pixels) -> NDArray[np.int64]:
    """Returns which of twelve hues each colour has; greys are a thirteenth."""
    both = lab(colours)[:, 1:]
    turned = np.arctan2(both[:, 1], both[:, 0]) / (2 * np.pi) * _HUES
    hues = np.floor(turned).astype(np.int64) % _HUES
    hues[np.linalg.norm(both, axis=1) < _GREY] = _NEUTRAL
    return hues


def _within(values: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns the values [n, k] minus their groups' means."""
    counts = np.maximum(np.bincount(groups, minlength=_HUES + 1), 1)
    means = np.stack(
        [np.bincount(groups, column, _HUES + 1) / counts for column in values.T], axis=1
    )
    return values - means[groups]
