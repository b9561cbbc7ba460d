"""Resizes to exact target sizes: the whole frame fits inside, undistorted, premultiplied."""

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from app.types import Rect, Size


def letterbox(source: Size, target: Size) -> Rect:
    """Returns the area of the whole source frame in the target: as large as fits, centred."""
    scale = min(target.width / source.width, target.height / source.height)
    width = max(1, round(source.width * scale))
    height = max(1, round(source.height * scale))
    x, y = (target.width - width) // 2, (target.height - height) // 2
    return Rect(x=x, y=y, width=width, height=height)


def resize(pixels: npt.NDArray[np.uint8], size: Size) -> npt.NDArray[np.uint8]:
    """Returns the RGBA pixels [h, w, 4] at exactly this size, padded with transparent pixels.

    Pixels already at this size are returned unchanged. Shrinking averages areas in linear light, so
    that fine detail keeps its brightness. Enlarging is bicubic over the sRGB values: in linear
    light, or with Lanczos, the filter's negative lobes eat into dark outlines and ring around them.
    Colour is weighted by alpha both ways, so hidden colour does not leak into an edge.
    """
    height, width = pixels.shape[:2]
    if (width, height) == (size.width, size.height):
        return pixels
    box = letterbox(Size(width=width, height=height), size)
    shrinks = box.width < width or box.height < height
    fitted = (_shrink if shrinks else _enlarge)(pixels, (box.width, box.height))
    framed = np.zeros((size.height, size.width, 4), np.uint8)
    framed[box.y : box.y + box.height, box.x : box.x + box.width] = fitted
    return framed


def cover(pixels: npt.NDArray[np.uint8], size: Size) -> npt.NDArray[np.uint8]:
    """Returns the RGBA pixels [h, w, 4] at exactly this size, filled by the middle of the image.

    What exceeds the frame's shape is cropped evenly on two sides, to the nearest pixel; the rest is
    resampled as in `resize`, and returned unchanged where it has the frame's size.
    """
    height, width = pixels.shape[:2]
    scale = min(width / size.width, height / size.height)
    kept_width = max(1, round(size.width * scale))
    kept_height = max(1, round(size.height * scale))
    x, y = (width - kept_width) // 2, (height - kept_height) // 2
    middle = pixels[y : y + kept_height, x : x + kept_width]
    if (kept_width, kept_height) == (size.width, size.height):
        return middle
    shrinks = size.width < kept_width or size.height < kept_height
    return (_shrink if shrinks else _enlarge)(middle, (size.width, size.height))


def _shrink(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    colour, alpha = _resample(_linear_light()[pixels[..., :3]], pixels, size, cv2.INTER_AREA)
    return _as_bytes(_srgb(colour), alpha)


def _enlarge(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    return _as_bytes(*_resample(_share(pixels[..., :3]), pixels, size, cv2.INTER_CUBIC))


def _resample(
    colour: npt.NDArray[np.float32],
    pixels: npt.NDArray[np.uint8],
    size: tuple[int, int],
    interpolation: int,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Returns colour [h, w, 3] and alpha [h, w, 1], each 0 to 1, resampled premultiplied."""
    alpha = _share(pixels[..., 3:])
    resampled = cv2.resize(
        np.concatenate([colour * alpha, alpha], axis=2), size, interpolation=interpolation
    )
    premultiplied, alpha = resampled[..., :3], resampled[..., 3:]
    # Divided before clamping: where the filter overshoots, colour and alpha do so together, and
    # their quotient is still the colour. Pixels whose alpha rounds to 0 have no colour.
    colour = np.divide(premultiplied, alpha, out=premultiplied, where=alpha > 1 / 512)
    return colour.clip(0, 1), alpha.clip(0, 1)


def _share(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Returns bytes as shares of 255."""
    return values.astype(np.float32) * np.float32(1 / 255)


def _as_bytes(
    colour: npt.NDArray[np.float32], alpha: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint8]:
    return (np.concatenate([colour, alpha], axis=2) * 255 + 0.5).astype(np.uint8)


@cache
def _linear_light() -> npt.NDArray[np.float32]:
    """Returns the linear light of each sRGB byte (IEC 61966-2-1)."""
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


def _srgb(linear: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Returns sRGB, 0 to 1, for linear light: the inverse of `_linear_light`."""
    curve = 1.055 * np.power(linear, np.float32(1 / 2.4)) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, curve).astype(np.float32)
