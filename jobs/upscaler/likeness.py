"""How like one picture is to another: PSNR and SSIM of what is seen, and the error of alpha."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from app.value import Value
from jobs.starter.drawings import Pixels


class Likeness(Value):
    """How like the true drawings the enlarged ones are: means over pictures."""

    psnr: float
    """Of colour over middle grey, in dB."""
    ssim: float
    alpha_error: float
    """Mean difference of alpha in steps of 255."""


def likeness(made: Sequence[Pixels], true: Sequence[Pixels] | Pixels) -> Likeness:
    """How like pictures are to their true drawings, each [h, w, 4]."""
    pairs = [(on_grey(a), on_grey(b)) for a, b in zip(made, true, strict=True)]
    errors = [np.abs(a[..., 3].astype(int) - b[..., 3]) for a, b in zip(made, true, strict=True)]
    return Likeness(
        psnr=float(np.mean([psnr(a, b) for a, b in pairs])),
        ssim=float(np.mean([ssim(a, b) for a, b in pairs])),
        alpha_error=float(np.mean([error.mean() for error in errors])),
    )


def on_grey(pixels: Pixels) -> NDArray[np.float32]:
    """The picture over middle grey, [h, w, 3] from 0 to 1."""
    unit = pixels.astype(np.float32) / 255
    alpha = unit[..., 3:]
    return np.asarray(unit[..., :3] * alpha + 0.5 * (1 - alpha), np.float32)


def psnr(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Peak signal-to-noise ratio in dB; 100 at most, for equal pictures have none."""
    return float(-10 * np.log10(max(float(np.mean((a - b) ** 2)), 1e-10)))


def ssim(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Structural similarity (Wang et al. 2004), Gaussian window of sigma 1.5, mean of channels."""

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float32)

    mean_a, mean_b = mean(a), mean(b)
    spread = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    shared = mean(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
    return float((light * (2 * shared + 9e-4) / (spread + 9e-4)).mean())
