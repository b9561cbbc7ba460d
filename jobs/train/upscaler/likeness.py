"""The likeness of two images: PSNR and SSIM of visible colour, and the error of alpha."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.check.reference_similarity import ssim
from app.types.base import Value
from jobs.train.starter.drawings import Pixels


class Likeness(Value):
    """The likeness of enlarged images to the true drawings: means over images."""

    psnr: float
    """PSNR of the colour over middle grey, in dB."""
    ssim: float
    alpha_error: float
    """Mean absolute difference of alpha, in steps of 255."""


def likeness(images: Sequence[Pixels], true: Sequence[Pixels] | Pixels) -> Likeness:
    """Returns the likeness of images to their true drawings, each [h, w, 4]."""
    pairs = list(zip(images, true, strict=True))
    errors = [np.abs(a[..., 3].astype(int) - b[..., 3]) for a, b in pairs]
    return Likeness(
        psnr=float(np.mean([psnr(on_grey(a), on_grey(b)) for a, b in pairs])),
        ssim=float(np.mean([ssim(a, b) for a, b in pairs])),
        alpha_error=float(np.mean([error.mean() for error in errors])),
    )


def on_grey(pixels: Pixels) -> NDArray[np.float32]:
    """Returns the image over middle grey, [h, w, 3] from 0 to 1."""
    unit = pixels.astype(np.float32) / 255
    alpha = unit[..., 3:]
    return np.asarray(unit[..., :3] * alpha + 0.5 * (1 - alpha), np.float32)


def psnr(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Returns the peak signal-to-noise ratio in dB, at most 100: that of equal images."""
    return float(-10 * np.log10(max(float(np.mean((a - b) ** 2)), 1e-10)))
