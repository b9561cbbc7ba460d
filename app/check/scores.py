"""Scores: every number of one picture but those that need its neighbours."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.check.integrity import integrity
from app.check.measures import measures
from app.check.reference_similarity import reference_similarity
from app.check.text_contrast import text_contrast
from app.check.text_readback import read_back, worst_error
from app.types import GenerationRequest, Measure


class Critic(Protocol):
    """Whoever says how well pictures and prompts belong together."""

    def agreement(self, images: NDArray[np.uint8], prompts: Sequence[str]) -> NDArray[np.floating]:
        """One probability per image [n, height, width, 4]."""

    def appearance(self, image: NDArray[np.uint8], prompt: str) -> Mapping[Measure, float]:
        """What else was learned of such pictures, for one [height, width, 4]; it may be nothing."""


def score_image(
    pixels: NDArray[np.uint8] | None,
    request: GenerationRequest,
    critic: Critic | None,
    *,
    prompt: str,
    reference: NDArray[np.uint8] | None = None,
) -> dict[Measure, float]:
    """The numbers of RGBA pixels [height, width, 4]; of a file without pixels only that it is so.

    Without a critic nobody says whether picture and prompt agree, without a reader of its script
    nobody whether a text can be read, and without a reference of its size nobody how like it is.
    """
    scores = integrity(pixels, width=request.width, height=request.height)
    if pixels is None:
        return scores
    scores |= measures(pixels)
    if reference is not None and reference.shape == pixels.shape:
        scores |= reference_similarity(pixels, reference)
    if critic is not None:
        (agreement,) = critic.agreement(pixels[None], [prompt])
        scores[Measure.AGREEMENT] = float(agreement)
        scores |= critic.appearance(pixels, prompt)
    contrast = text_contrast(pixels, request.text_layers)
    if contrast is not None:
        scores[Measure.TEXT_CONTRAST] = contrast
    error = worst_error(read_back(pixels, request.text_layers))
    return scores if error is None else scores | {Measure.TEXT_ERROR: error}
