"""Small drawings for the finishing tests, and random images that are mostly edges."""

import cv2
import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

Pixels = npt.NDArray[np.uint8]

sides = st.integers(1, 24)


def images() -> st.SearchStrategy[Pixels]:
    """RGBA images of any shape whose alpha takes the values at which finishing changes its mind."""
    alphas = st.sampled_from([0, 0, 0, 3, 7, 8, 60, 128, 250, 251, 255])
    return st.tuples(sides, sides).flatmap(
        lambda shape: st.builds(
            lambda colour, alpha: np.dstack([colour, alpha]),
            arrays(np.uint8, (*shape, 3)),
            arrays(np.uint8, shape, elements=alphas),
        )
    )


def clear(width: int, height: int) -> Pixels:
    """A transparent canvas that hides white."""
    return np.full((height, width, 4), (255, 255, 255, 0), np.uint8)


def disc(
    canvas: Pixels, centre: tuple[float, float], radius: float, colour: tuple[int, int, int, int]
) -> Pixels:
    """The canvas with an anti-aliased disc on it, drawn at 16 times its size."""
    height, width = canvas.shape[:2]
    mask = np.zeros((height * 16, width * 16), np.uint8)
    middle = tuple(round(value * 16) for value in centre)
    cv2.circle(mask, middle, round(radius * 16), 255, -1)
    cover = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    drawn = canvas.copy()
    drawn[cover > 0, :3] = colour[:3]
    drawn[..., 3] = np.maximum(drawn[..., 3], cover.astype(np.uint16) * colour[3] // 255)
    return drawn
