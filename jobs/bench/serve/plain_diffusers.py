"""The bundled model as diffusers provides it, for services that do not use our engine."""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import torch
from PIL.Image import Image

from app.api.requests import ImagesRequest
from app.models.bundled import FOLDERS

SIDE = 64
MAX_SEQUENCE_LENGTH = 1
"""What the model was made for; diffusers' own default would cost it 256 text tokens a row."""


class PlainDiffusers:
    """diffusers' own pipeline on one thread; not thread-safe: its scheduler counts steps."""

    def __init__(self) -> None:
        from diffusers import StableDiffusion3Pipeline  # slow, and only a server needs it

        torch.set_num_threads(1)
        self._pipeline = StableDiffusion3Pipeline.from_pretrained(
            FOLDERS["starter"],
            dtype=torch.float32,  # the files hold half precision
            text_encoder_3=None,
            tokenizer_3=None,
            local_files_only=True,
        )
        self._pipeline.set_progress_bar_config(disable=True)

    def render(self, bodies: Sequence[ImagesRequest]) -> list[Image]:
        """Returns an image for each, in order; those with equal steps and guidance share a call."""
        groups: dict[tuple[Any, Any], list[int]] = {}
        for index, body in enumerate(bodies):
            groups.setdefault((body.steps, body.guidance), []).append(index)
        rendered: dict[int, Image] = {}
        for indices in groups.values():
            images = self._render_batch([bodies[index] for index in indices])
            rendered |= zip(indices, images, strict=True)
        return [rendered[index] for index in range(len(bodies))]

    def _render_batch(self, bodies: Sequence[ImagesRequest]) -> list[Image]:
        images: list[Image] = self._pipeline(
            prompt=[body.prompt for body in bodies],
            width=SIDE,
            height=SIDE,
            num_inference_steps=bodies[0].steps,
            guidance_scale=bodies[0].guidance,
            generator=[torch.Generator("cpu").manual_seed(body.seed or 0) for body in bodies],
            max_sequence_length=MAX_SEQUENCE_LENGTH,
        ).images
        return images


def openai_answer(image: Image) -> dict[str, Any]:
    """Returns a contender's answer: a PNG in base64, in the shape of OpenAI's API."""
    file = BytesIO()
    image.save(file, "PNG")
    return {"data": [{"b64_json": b64encode(file.getvalue()).decode()}]}
