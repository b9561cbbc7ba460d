"""The procedural icon renderer: one label and one seed give one 64 x 64 RGBA drawing.

Shapes are drawn as polygons at four times the size and area-reduced with premultiplied alpha, so
edges are smooth. The alpha is straight, and clear pixels carry the object's own border colour: a
VAE that never sees a colour jump under alpha 0 produces no halo.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.train.starter.shapes import SHAPES, Part, Points

Pixels = NDArray[np.uint8]

SIZE = 64
SUPERSAMPLING = 4
MARGIN = 2
"""Clear pixels that every drawing keeps at its border."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 38, 44),
    "orange": (240, 128, 28),
    "yellow": (246, 206, 48),
    "green": (46, 160, 67),
    "cyan": (48, 196, 206),
    "blue": (44, 92, 214),
    "purple": (132, 62, 190),
    "pink": (244, 126, 176),
    "white": (232, 234, 240),
    "black": (52, 52, 60),
}
STYLES = ("flat", "cartoon", "shaded")
KINDS = tuple(SHAPES)

_ROLES: dict[str, tuple[int, int, int]] = {
    "gold": (236, 184, 62),
    "wood": (140, 88, 50),
    "steel": (176, 186, 200),
    "glass": (206, 228, 236),
    "paper": (244, 228, 190),
    "ink": (120, 92, 66),
    "spot": (250, 244, 230),
    "string": (150, 140, 128),
    "flame": (246, 140, 36),
    "spark": (255, 232, 120),
    "jewel": (250, 244, 230),
}
_OUTLINE_SHARE = 0.22
"""The cartoon outline is the main colour darkened to this share."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a drawing shows: one of KINDS, COLOURS and STYLES."""

    kind: str
    colour: str
    style: str


def all_labels() -> list[Label]:
    """Returns every combination of kind, colour and style, in a fixed order."""
    return [Label(k, c, s) for k in KINDS for c in COLOURS for s in STYLES]


def draw(label: Label, seed: int) -> Pixels:
    """Returns the drawing as uint8 RGBA [64, 64, 4], straight alpha, never touching the border.

    The same label and seed give the same bytes.
    """
    indices = (
        KINDS.index(label.kind),
        list(COLOURS).index(label.colour),
        STYLES.index(label.style),
    )
    rng = np.random.default_rng([seed, *indices])
    outline = 1.5 * SUPERSAMPLING if label.style == "cartoon" else 0.0
    parts = _placed(SHAPES[label.kind](rng), outline, rng)
    palette = _palette(label.colour, rng)
    return _reduced(*_painted(parts, palette, label.style, outline))


def _placed(parts: list[Part], outline: float, rng: np.random.Generator) -> list[Part]:
    """Returns the parts in supersampled pixels: slightly rotated, fitted to the frame, shifted."""
    angle, scale = rng.normal(0, 0.03), rng.uniform(0.94, 1.0)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = [part.points @ matrix for part in parts]
    everything = np.concatenate(turned)
    low, high = everything.min(axis=0), everything.max(axis=0)
    side, border = SIZE * SUPERSAMPLING, (MARGIN + 0.5) * SUPERSAMPLING + outline
    factor = scale * (side - 2 * border) / (high - low).max()
    room = np.maximum((side - 2 * border - factor * (high - low)) / 2, 0)
    shift = rng.uniform(-1, 1, 2) * np.minimum(room, 1.5 * SUPERSAMPLING)
    offset = side / 2 - factor * (low + high) / 2 + shift
    return [
        Part(points * factor + offset, part.role, part.tone, part.detail)
        for points, part in zip(turned, parts, strict=True)
    ]


def _palette(colour: str, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """Returns the colour of each role, with a little jitter on the named one."""
    main = np.array(COLOURS[colour], dtype=np.float64) + rng.normal(0, 3, 3)
    roles = {role: np.array(value, dtype=np.float64) for role, value in _ROLES.items()}
    if colour == "white":
        roles["spot"] = np.array([214.0, 186.0, 176.0])
    return roles | {"main": np.clip(main, 0, 255)}


def _toned(colour: NDArray[np.float64], tone: float) -> tuple[float, float, float]:
    """Returns the colour moved towards white (`tone` above 0) or black (below 0)."""
    target = 255.0 if tone > 0 else 0.0
    r, g, b = colour + abs(tone) * (target - colour)
    return float(r), float(g), float(b)


def _painted(
    parts: list[Part], palette: dict[str, NDArray[np.float64]], style: str, outline: float
) -> tuple[Pixels, Pixels, NDArray[np.float64]]:
    """Returns RGB, alpha and the fill for clear pixels, all at the supersampled size."""
    side = SIZE * SUPERSAMPLING
    dark = palette["main"] * _OUTLINE_SHARE
    fill = dark if outline else palette["main"] * 0.8
    rgb = np.empty((side, side, 3), dtype=np.uint8)
    rgb[:] = np.clip(fill, 0, 255)
    alpha = np.zeros((side, side), dtype=np.uint8)
    for part in parts:
        if part.role == "hole":
            _fill(alpha, part.points, 0)
            continue
        colour = _toned(palette[part.role], part.tone)
        if style == "shaded" and not part.detail:
            _paint_bevelled(rgb, part.points, colour)
        else:
            _fill(rgb, part.points, colour)
        if not part.detail:
            _fill(alpha, part.points, 255)
            if outline:
                _stroke(rgb, part.points, (dark[0], dark[1], dark[2]), SUPERSAMPLING)
    if outline:
        alpha = _outlined(rgb, alpha, dark, outline)
    return rgb, alpha, fill


def _fixed(points: Points) -> NDArray[np.int32]:
    """Returns OpenCV's fixed point coordinates: 4 fractional bits, relative to pixel centres."""
    return np.round((points - 0.5) * 16).astype(np.int32)


def _fill(image: Pixels, points: Points, colour: float | tuple[float, float, float]) -> None:
    cv2.fillPoly(image, [_fixed(points)], colour, cv2.LINE_8, 4)


def _stroke(image: Pixels, points: Points, colour: tuple[float, float, float], width: int) -> None:
    cv2.polylines(image, [_fixed(points)], True, colour, width, cv2.LINE_8, 4)


def _paint_bevelled(rgb: Pixels, points: Points, colour: tuple[float, float, float]) -> None:
    """Fills with a rounded edge lit from the upper left; height is the distance to the edge."""
    low = np.maximum(np.floor(points.min(axis=0)).astype(int) - 2, 0)
    high = np.ceil(points.max(axis=0)).astype(int) + 3
    mask = np.zeros(tuple(high - low)[::-1], dtype=np.uint8)
    _fill(mask, points - low, 255)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    width = max(min(float(distance.max()), 22.0), 1.0)
    height = cv2.GaussianBlur(np.sin(np.clip(distance / width, 0, 1) * np.pi / 2), (0, 0), 2.5)
    slope = (cv2.Sobel(height, cv2.CV_32F, 1, 0) + cv2.Sobel(height, cv2.CV_32F, 0, 1)) * width / 9
    light = np.clip(slope, -1, 1)[..., None]
    base = np.array(colour, dtype=np.float32)
    shaded = base + np.where(light > 0, light * 0.6 * (255 - base), light * 0.55 * base)
    view = rgb[low[1] : high[1], low[0] : high[0]]
    clipped = (slice(0, view.shape[0]), slice(0, view.shape[1]))
    inside = mask[clipped] > 0
    view[inside] = np.clip(shaded[clipped], 0, 255)[inside].astype(np.uint8)


def _outlined(rgb: Pixels, alpha: Pixels, dark: NDArray[np.float64], outline: float) -> Pixels:
    """Grows the silhouette by the outline and colours the growth dark; returns the new alpha."""
    width = 2 * int(outline) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    grown = cv2.dilate(alpha, disc)
    rgb[(grown > 0) & (alpha == 0)] = np.clip(dark, 0, 255).astype(np.uint8)
    return np.asarray(grown, dtype=np.uint8)


def _reduced(rgb: Pixels, alpha: Pixels, fill: NDArray[np.float64]) -> Pixels:
    """Returns the drawing area-reduced to 64 x 64 with premultiplied alpha.

    Clear pixels take the fill colour.
    """
    cover = (alpha > 0).astype(np.float32)[..., None]
    stacked = np.concatenate([rgb * cover, cover], axis=2)
    small = cv2.resize(stacked, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    share = small[..., 3:]
    colour = np.where(share > 0, small[..., :3] / np.maximum(share, 1e-6), fill)
    out = np.concatenate([colour, share * 255], axis=2)
    return np.clip(np.round(out), 0, 255).astype(np.uint8)
