"""The methods of enlarging four times that the upscaler is compared with."""

from collections.abc import Callable

import cv2
import numpy as np

from app.image.resize import resize
from app.models.upscaler import SCALE, Upscaler
from app.types import Size
from jobs.train.starter.drawings import Pixels

Method = Callable[[Pixels], Pixels]


def methods(upscaler: Upscaler) -> dict[str, Method]:
    """Returns every method by its name, the upscaler last."""
    return {
        "nearest": nearest,
        "Lanczos": lanczos,
        "bicubic": bicubic,
        "upscaler": upscaler.upscale,
    }


def nearest(pixels: Pixels) -> Pixels:
    """Returns each pixel repeated four by four times."""
    return pixels.repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def lanczos(pixels: Pixels, scale: int = SCALE) -> Pixels:
    """Returns the image enlarged by OpenCV's Lanczos over 8 x 8 pixels, on premultiplied colour."""
    unit = pixels.astype(np.float32) / 255
    unit[..., :3] *= unit[..., 3:]
    height, width = pixels.shape[:2]
    size = (width * scale, height * scale)
    large = cv2.resize(unit, size, interpolation=cv2.INTER_LANCZOS4)
    colour, alpha = large[..., :3], large[..., 3:]
    colour = np.divide(colour, alpha, out=np.zeros_like(colour), where=alpha > 0.002)
    return np.round(np.concatenate([colour, alpha], axis=2).clip(0, 1) * 255).astype(np.uint8)


def bicubic(pixels: Pixels) -> Pixels:
    """Returns the image enlarged as the finisher does it, bicubic."""
    height, width = pixels.shape[:2]
    return resize(pixels, Size(width=width * SCALE, height=height * SCALE))
