"""Defects of pixels: each takes straight-alpha RGBA pixels, a severity and a random generator.

Severity is 1 (mild), 2 (medium) or 3 (severe). The input array is never changed. Lengths are given
for a side of 64 pixels and scale with the image.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from app.check.planes import NEARLY_OPAQUE, Pixels

Rng = np.random.Generator
Defect = Callable[[Pixels, int, Rng], Pixels]

_GROUNDS = np.array([[255, 255, 255], [0, 0, 0], [0, 255, 0], [255, 0, 255]], np.float32)
"""The background colours that objects are usually cut out from."""
_VISIBLE = 26
"""A tenth of full alpha; less is hardly visible."""


def alpha_fringe(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns the object with the colour of a removed background left in its soft edge.

    The colour is the one of white, black, green and magenta that differs most from the object.
    """
    edge = (pixels[..., 3] > 0) & (pixels[..., 3] < NEARLY_OPAQUE)
    out = pixels.astype(np.float32)
    beside = cv2.dilate(edge.astype(np.uint8), _square(1, pixels)) > 0
    own = out[beside & (pixels[..., 3] >= NEARLY_OPAQUE)][:, :3]
    matte = max(_GROUNDS, key=lambda ground: float(np.abs(own - ground).mean()))
    share = (0.5, 0.75, 1.0)[severity - 1] * edge
    out[..., :3] += (matte - out[..., :3]) * share[..., None]
    return _bytes(out)


def halo(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns the image with a pale glow around the object."""
    scale = _scale(pixels)
    reach = (4, 5, 6)[severity - 1] * scale
    grown = cv2.dilate(pixels[..., 3], _disc(reach)).astype(np.float32)
    glow = cv2.GaussianBlur(grown, (0, 0), 1.5 * scale) * (0.12, 0.25, 0.45)[severity - 1]
    return _over(pixels, np.array([250, 246, 225], np.float32), glow)


def specks(pixels: Pixels, severity: int, rng: Rng) -> Pixels:
    """Returns the image with up to 4, 8 or 16 loose opaque specks, by severity, off the object."""
    side = max(2, round(2 * _scale(pixels)))
    near = cv2.dilate((pixels[..., 3] >= _VISIBLE).astype(np.uint8), _square(1, pixels))
    out = pixels.copy()
    for y, x in _places(near == 0, (4, 8, 16)[severity - 1], side, rng):
        out[y : y + side, x : x + side, :3] = rng.integers(0, 256, 3)
        out[y : y + side, x : x + side, 3] = 255
    return out


def pinholes(pixels: Pixels, severity: int, rng: Rng) -> Pixels:
    """Returns the image with up to 4, 8 or 16 small holes through the object, by severity."""
    side = max(2, round(2 * _scale(pixels)))
    inner = cv2.erode((pixels[..., 3] > 250).astype(np.uint8), np.ones((2 * side + 3,) * 2))
    out = pixels.copy()
    for y, x in _places(inner > 0, (4, 8, 16)[severity - 1], side, rng):
        out[y : y + side, x : x + side, 3] = 0
    return out


def holes_filled(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns the image with the openings of the object filled with the white of a background."""
    share = (0.5, 0.8, 1.0)[severity - 1]
    fill = np.where(openings(pixels), 255 * share, 0).astype(np.float32)
    return _over(pixels, np.array([255, 255, 255], np.float32), fill)


def openings(pixels: Pixels) -> NDArray[np.bool_]:
    """Returns the mask of the openings: enclosed clear areas of at least 0.3 % of the frame."""
    clear = np.pad((pixels[..., 3] < 128).astype(np.uint8), 1, constant_values=1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(clear, connectivity=4)
    large = [
        index for index in range(1, count)
        if index != labels[0, 0] and stats[index, cv2.CC_STAT_AREA] >= 0.003 * clear.size
    ]  # fmt: skip
    return np.isin(labels, large)[1:-1, 1:-1]


def torn(pixels: Pixels, severity: int, rng: Rng) -> Pixels:
    """Returns the image with 12, 30 or 60 % of its blocks erased; the side has eight blocks."""
    block = max(1, pixels.shape[0] // 8)
    height, width = (-(-side // block) for side in pixels.shape[:2])
    removed = rng.random((height, width)) < (0.12, 0.3, 0.6)[severity - 1]
    mask = np.kron(removed, np.ones((block, block), bool))[: pixels.shape[0], : pixels.shape[1]]
    return np.where(mask[..., None], np.uint8(0), pixels)


def merged(pixels: Pixels, severity: int, _: Rng, other: Pixels) -> Pixels:
    """Returns the image with its right part taken from `other`: 30, 40 or 50 %, by severity."""
    at = round(pixels.shape[1] * (0.7, 0.6, 0.5)[severity - 1])
    return np.concatenate([pixels[:, :at], other[:, at:]], axis=1)


def cut_off(pixels: Pixels, severity: int, rng: Rng) -> Pixels:
    """Returns the object moved out of the frame at a random side, by a share of its length."""
    turns = int(rng.integers(4))
    turned = np.rot90(pixels, turns)
    columns = np.flatnonzero((turned[..., 3] >= 128).any(axis=0))
    removed = columns[0] + max(1, round(len(columns) * (0.12, 0.25, 0.5)[severity - 1]))
    out = np.zeros_like(turned)
    out[:, : turned.shape[1] - removed] = turned[:, removed:]
    return np.ascontiguousarray(np.rot90(out, -turns))


def cut_through(pixels: Pixels, severity: int, rng: Rng) -> Pixels:
    """Returns the object with part of its length missing and the rest centred in the frame."""
    turns = int(rng.integers(4))
    turned = np.rot90(pixels, turns)
    columns = np.flatnonzero((turned[..., 3] >= 128).any(axis=0))
    removed = max(1, round(len(columns) * (0.15, 0.3, 0.5)[severity - 1]))
    out = np.zeros_like(turned)
    out[:, columns[0] + removed :] = turned[:, columns[0] + removed :]
    return np.ascontiguousarray(np.rot90(np.roll(out, -(removed // 2), axis=1), -turns))


def off_centre(pixels: Pixels, severity: int, rng: Rng) -> Pixels:
    """Returns the object a little smaller and moved to a side or corner, but inside the frame."""
    small, (height, width) = _shrunk(pixels, 0.72), pixels.shape[:2]
    share = (0.45, 0.75, 1.0)[severity - 1]
    down, right = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1)][int(rng.integers(6))]
    rows, columns = (np.flatnonzero((small[..., 3] >= 128).any(axis=axis)) for axis in (1, 0))
    room = (height - 2 - rows[-1] if down > 0 else rows[0] - 1) * abs(down)
    room_right = (width - 2 - columns[-1] if right > 0 else columns[0] - 1) * abs(right)
    moves = (down * round(share * max(room, 0)), right * round(share * max(room_right, 0)))
    return np.roll(small, moves, axis=(0, 1))


def too_small(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns the object at two thirds, half or a third of its size, by severity."""
    return _shrunk(pixels, (0.65, 0.5, 0.33)[severity - 1])


def too_large(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns the object a sixth, a third or two thirds larger, by severity; the frame cuts it."""
    height, width = pixels.shape[:2]
    scale = (1.17, 1.35, 1.7)[severity - 1]
    middle = np.array([[scale, 0, (1 - scale) * width / 2], [0, scale, (1 - scale) * height / 2]])
    return _mapped(pixels, middle)


def _shrunk(pixels: Pixels, scale: float) -> Pixels:
    """Returns the whole image scaled down, centred in a clear frame of the original size."""
    height, width = pixels.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(_premultiplied(pixels), size, interpolation=cv2.INTER_AREA)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    out = np.zeros((height, width, 4), np.float32)
    out[top : top + size[1], left : left + size[0]] = small
    return _straight(out)


def _mapped(pixels: Pixels, matrix: NDArray[np.floating]) -> Pixels:
    size = pixels.shape[1::-1]
    return _straight(cv2.warpAffine(_premultiplied(pixels), matrix, size, flags=cv2.INTER_LINEAR))


def _premultiplied(pixels: Pixels) -> NDArray[np.floating]:
    """Returns RGB times alpha, from 0 to 255, and alpha from 0 to 1."""
    alpha = pixels[..., 3:].astype(np.float32) / 255
    return np.dstack([pixels[..., :3] * alpha, alpha])


def _straight(premultiplied: NDArray[np.floating]) -> Pixels:
    """Returns straight-alpha bytes for premultiplied values; alpha is from 0 to 1."""
    colour = premultiplied[..., :3] / np.maximum(premultiplied[..., 3:], 1e-4)
    return _bytes(np.dstack([colour, premultiplied[..., 3:] * 255]))


def empty(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns an image in which nothing can be seen.

    By severity: almost no alpha, colour without alpha, or zeros everywhere.
    """
    out = pixels.copy()
    out[..., 3] = pixels[..., 3] // 12 if severity == 1 else 0
    return np.zeros_like(out) if severity == 3 else out


def nan(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns what NaN from a decoder become in bytes: colour, alpha or both are 0, by severity."""
    out = pixels.copy()
    if severity != 2:
        out[..., :3] = 0
    if severity != 1:
        out[..., 3] = 0
    return out


def flat(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns the object with almost no inner contrast left or none: a silhouette of one colour."""
    out = pixels.astype(np.float32)
    mean = out[pixels[..., 3] >= 128][:, :3].mean(axis=0)
    out[..., :3] = mean + (out[..., :3] - mean) * (0.01, 0.004, 0.0)[severity - 1]
    return _bytes(out)


def washed_out(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns the image with every colour moved towards grey."""
    out = pixels.astype(np.float32)
    out[..., :3] += (150 - out[..., :3]) * (0.4, 0.6, 0.8)[severity - 1]
    return _bytes(out)


def opaque_ground(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns the image on a background that was not removed: with 60, 85 or 100 % alpha."""
    share = (0.6, 0.85, 1.0)[severity - 1]
    return _over(
        pixels, np.array([225, 225, 225], np.float32), np.full(pixels.shape[:2], 255 * share)
    )


def ghost(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns the object half transparent: its alpha never reaches the top of its range."""
    out = pixels.astype(np.float32)
    out[..., 3] *= (0.85, 0.65, 0.4)[severity - 1]
    return _bytes(out)


def blur(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns the image out of focus."""
    return _blurred(pixels, (0.8, 1.3, 2.2)[severity - 1] * _scale(pixels))


def noise(pixels: Pixels, severity: int, rng: Rng) -> Pixels:
    """Returns the object with noise on every pixel, independent in each channel."""
    return _added(pixels, rng.normal(0, (6, 12, 25)[severity - 1], (*pixels.shape[:2], 3)))


def colour_blotches(pixels: Pixels, severity: int, rng: Rng) -> Pixels:
    """Returns the object with tinted patches of a few pixels that keep the luminance."""
    field = rng.normal(0, 1, (*pixels.shape[:2], 2)).astype(np.float32)
    field = cv2.GaussianBlur(field, (0, 0), 1.5 * _scale(pixels))
    red, blue = np.moveaxis(field / field.std() * (8, 16, 32)[severity - 1], -1, 0)
    green = -(0.2126 * red + 0.0722 * blue) / 0.7152
    return _added(pixels, np.stack([red, green, blue], axis=-1))


def banding(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns the image with too few colour levels for its shading."""
    step = (12, 20, 36)[severity - 1]
    out = pixels.astype(np.float32)
    out[..., :3] = np.floor(out[..., :3] / step) * step + step / 2
    return _bytes(out)


def jpeg_blocks(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns the image after JPEG compression at low quality; alpha stays.

    Its marks are blocks of eight pixels and ringing at edges.
    """
    quality = (40, 20, 8)[severity - 1]
    file = cv2.imencode(".jpg", pixels[..., 2::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    read = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))
    return np.dstack([read[..., ::-1], pixels[..., 3]])


def clipping(pixels: Pixels, severity: int, _: Rng) -> Pixels:
    """Returns the image over-exposed: light tones are clipped to white."""
    out = pixels.astype(np.float32)
    gain, lift = ((1.5, 40), (1.8, 80), (2.4, 130))[severity - 1]
    out[..., :3] = out[..., :3] * gain + lift
    return _bytes(out)


def palette_drift(pixels: Pixels, severity: int, rng: Rng) -> Pixels:
    """Returns the image with all hues turned one way by 15, 35 or 75 degrees, by severity."""
    hls = cv2.cvtColor(pixels[..., :3].astype(np.float32) / 255, cv2.COLOR_RGB2HLS)
    turn = (15, 35, 75)[severity - 1] * (1 if rng.random() < 0.5 else -1)
    hls[..., 0] = (hls[..., 0] + turn) % 360
    colour = cv2.cvtColor(hls, cv2.COLOR_HLS2RGB) * 255
    return _bytes(np.dstack([colour, pixels[..., 3].astype(np.float32)]))


def seam(pixels: Pixels, severity: int, rng: Rng) -> Pixels:
    """Returns the image with the light falling off from one border to the opposite one.

    Copies side by side then show a seam.
    """
    ramp = np.linspace(-1, 1, pixels.shape[1]) * (0.08, 0.18, 0.4)[severity - 1]
    turned = pixels if rng.random() < 0.5 else pixels.transpose(1, 0, 2)
    out = turned.astype(np.float32)
    out[..., :3] *= 1 + ramp[None, :, None]
    fallen = _bytes(out)
    return fallen if turned is pixels else np.ascontiguousarray(fallen.transpose(1, 0, 2))


def touched_up(pixels: Pixels, severity: int, rng: Rng) -> Pixels:
    """Returns a near duplicate of the image.

    By severity: 5 % lighter with a little noise, only the noise, or an exact copy.
    """
    if severity == 3:
        return pixels.copy()
    out = pixels.astype(np.float32)
    if severity == 1:
        out[..., :3] *= 1.05
    return _added(_bytes(out), rng.normal(0, 2, (*pixels.shape[:2], 3)))


def _scale(pixels: Pixels) -> float:
    return float(max(pixels.shape[:2]) / 64)


def _square(reach: float, pixels: Pixels) -> Pixels:
    return np.ones((2 * round(reach * _scale(pixels)) + 1,) * 2, np.uint8)


def _disc(reach: float) -> Pixels:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(reach) + 1,) * 2))


def _places(free: NDArray[np.bool_], count: int, side: int, rng: Rng) -> list[tuple[int, int]]:
    """Returns up to `count` top left corners of squares inside `free` that do not touch."""
    room = cv2.erode(np.pad(free.astype(np.uint8), 1), np.ones((side, side)), anchor=(0, 0))[
        1:-1, 1:-1
    ]
    places: list[tuple[int, int]] = []
    while len(places) < count and room.any():
        rows, columns = np.nonzero(room)
        pick = int(rng.integers(len(rows)))
        y, x = int(rows[pick]), int(columns[pick])
        places.append((y, x))
        room[max(0, y - side - 1) : y + side + 2, max(0, x - side - 1) : x + side + 2] = 0
    return places


def _added(pixels: Pixels, change: NDArray[np.floating]) -> Pixels:
    out = pixels.astype(np.float32)
    out[..., :3] += change
    return _bytes(out)


def _over(pixels: Pixels, colour: NDArray[np.float32], alpha: NDArray[np.floating]) -> Pixels:
    """Returns the image composited over a layer of one colour."""
    own, under = pixels[..., 3:].astype(np.float32) / 255, alpha[..., None] / 255
    total = own + under * (1 - own)
    mixed = (pixels[..., :3] * own + colour * under * (1 - own)) / np.maximum(total, 1e-6)
    return _bytes(np.dstack([np.where(total > 0, mixed, pixels[..., :3]), total * 255]))


def _blurred(pixels: Pixels, sigma: float) -> Pixels:
    return _straight(cv2.GaussianBlur(_premultiplied(pixels), (0, 0), sigma))


def _bytes(values: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
