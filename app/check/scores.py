"""Scores: every score of one image except those that need its neighbours."""

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
    """A model that scores how well images match their prompts."""

    def agreement(self, images: NDArray[np.uint8], prompts: Sequence[str]) -> NDArray[np.floating]:
        """Returns one probability per image [n, height, width, 4]."""

    def appearance(self, image: NDArray[np.uint8], prompt: str) -> Mapping[Measure, float]:
        """Returns the learned measures of one image [height, width, 4]; may be empty."""


def score_image(
    pixels: NDArray[np.uint8] | None,
    request: GenerationRequest,
    critic: Critic | None,
    *,
    prompt: str,
    reference: NDArray[np.uint8] | None = None,
) -> dict[Measure, float]:
    """Returns the scores of RGBA pixels [height, width, 4].

    Without pixels (an undecodable file) only the integrity scores. Without a critic there is no
    agreement, without an OCR reader for its script no text error, and without a reference of the
    same size no similarity.
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
