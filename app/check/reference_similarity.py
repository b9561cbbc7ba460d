"""Reference similarity: how an image differs from a reference, in structure and perception.

Both are uint8 RGBA [height, width, 4] on mid grey; raises ValueError when the sizes differ.
"""

from importlib.util import find_spec

import cv2
import numpy as np
from numpy.typing import NDArray

from app.check.planes import Pixels, Plane
from app.types import Measure

_QUANTILES = np.linspace(0.01, 0.99, 50)
_MOST = 16_384


def reference_similarity(pixels: Pixels, reference: Pixels) -> dict[Measure, float]:
    """Returns LIKENESS and PALETTE_DISTANCE, and DIFFERENCE where FLIP is installed."""
    measures = {
        Measure.LIKENESS: ssim(pixels, reference),
        Measure.PALETTE_DISTANCE: palette_distance(pixels, reference),
    }
    if find_spec("flip_evaluator") is None:
        return measures
    return measures | {Measure.DIFFERENCE: difference(pixels, reference)}


def ssim(pixels: Pixels, reference: Pixels) -> float:
    """Returns structural similarity, -1 to 1: Gaussian window of sigma 1.5, mean over channels.

    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13 (2004). It is the mean of scikit-image's
    map; scikit-image's own number leaves out the outermost five pixels.
    """
    a, b = _both(pixels, reference)
    mean_a, mean_b = _mean(a), _mean(b)
    spread = _mean(a * a) - mean_a**2 + _mean(b * b) - mean_b**2
    shared = _mean(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
    return float((light * (2 * shared + 9e-4) / (spread + 9e-4)).mean())


def difference(pixels: Pixels, reference: Pixels) -> float:
    """Returns the mean of the FLIP error map, 0 to 1, at 67 pixels per degree of sight.

    Source: Andersson, Nilsson, Akenine-Moller and others, "FLIP: A Difference Evaluator for
    Alternating Images", HPG 2020. Slow: a third of a second at 512 x 512.
    """
    from flip_evaluator import evaluate

    a, b = _both(pixels, reference)
    return float(evaluate(b, a, "LDR", applyMagma=False)[1])


def palette_distance(pixels: Pixels, reference: Pixels) -> float:
    """Returns how far the colours of the opaque areas are from each other, in CIE Lab units.

    It is the mean distance of equal quantiles along each of the axes L, a and b (the Wasserstein
    distance in one dimension), then their Euclidean length; the positions of the colours do not
    matter. 100 when only one of the two has an opaque pixel.
    """
    mine, theirs = _colours(pixels), _colours(reference)
    if not mine.size or not theirs.size:
        return 0.0 if mine.size == theirs.size else 100.0
    apart = np.abs(np.quantile(mine, _QUANTILES, axis=0) - np.quantile(theirs, _QUANTILES, axis=0))
    return float(np.linalg.norm(apart.mean(axis=0)))


def _both(pixels: Pixels, reference: Pixels) -> tuple[Plane, Plane]:
    if pixels.shape != reference.shape:
        raise ValueError(
            f"an image {list(pixels.shape)} cannot be compared with a reference "
            f"{list(reference.shape)}; resize one of them first"
        )
    return _on_grey(pixels), _on_grey(reference)


def _on_grey(pixels: Pixels) -> Plane:
    unit = pixels.astype(np.float32) / np.float32(255)
    alpha = unit[..., 3:]
    return np.ascontiguousarray(unit[..., :3] * alpha + np.float32(0.5) * (1 - alpha))


def _mean(values: Plane) -> Plane:
    return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float32)


def _colours(pixels: Pixels) -> NDArray[np.float32]:
    """Returns the opaque pixels' colours in CIE Lab, [n, 3], evenly sampled if there are many."""
    opaque = pixels[pixels[..., 3] >= 128][:, :3]
    some = opaque[:: max(1, len(opaque) // _MOST)].astype(np.float32) / np.float32(255)
    if not len(some):
        return np.empty((0, 3), np.float32)
    return np.asarray(cv2.cvtColor(some[None], cv2.COLOR_RGB2Lab)[0])
