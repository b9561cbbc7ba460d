"""Engines over the tiny pipeline, and what the stock pipelines make of the same requests."""

from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image

from app.digest import digest_bytes
from app.engine.engine import Engine
from app.engine.exact_rows import exact_rows
from app.engine.pipeline import Pixels
from app.engine.results import RenderedImage
from app.models.sd3 import Sd3Pipeline
from app.types import GenerationRequest

LENGTH = 8


def engine_of(pipeline: Any, rows: int = 16, **options: Any) -> Engine:
    """An engine whose knee is known instead of measured."""
    return Engine(pipeline, knee=lambda width, height: rows, **options)


def engine_in_exact_mode(pipeline: Any, rows: int = 16, **options: Any) -> Engine:
    """An engine whose row counts are proven without a step of a pipeline that counts its own."""
    plain = pipeline
    if isinstance(pipeline, Sd3Pipeline):
        plain = Sd3Pipeline(pipeline._stock, max_sequence_length=LENGTH)
    return engine_of(pipeline, rows, mode="exact", exact_rows=partial(exact_rows, plain), **options)


def render_all(engine: Engine, batch: list[GenerationRequest]) -> dict[str, RenderedImage]:
    """Every request's image by the request's id; none may fail."""
    outcomes = list(engine.generate(batch))
    assert all(isinstance(outcome, RenderedImage) for outcome in outcomes)
    return {outcome.request.id: outcome for outcome in outcomes}


class Sd3Latents(Sd3Pipeline):
    """Keeps the final latents, which the stock pipelines can also be asked for."""

    def __init__(self, stock: Any, **options: Any) -> None:
        super().__init__(stock, max_sequence_length=LENGTH, **options)
        self.finals: list[torch.Tensor] = []

    def decode(self, latents: torch.Tensor, request: GenerationRequest) -> Any:
        self.finals.append(latents)
        return super().decode(latents, request)


class ImageStore(dict[str, Pixels]):
    """Pictures by digest, as a request names them."""

    def add(self, pixels: Pixels) -> str:
        """Keep a picture; returns its digest."""
        name = digest_bytes(pixels.tobytes())
        self[name] = pixels
        return name


def picture(width: int, height: int, seed: int) -> Pixels:
    """An opaque picture of coloured noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[:, :, 3] = 255
    return pixels


def half_mask(width: int, height: int) -> Pixels:
    """White, so painted anew, on the left half."""
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[:, : width // 2] = 255
    pixels[:, :, 3] = 255
    return pixels


def stock_latents(stock: Any, request: GenerationRequest, input_files: ImageStore) -> torch.Tensor:
    """The final latents [channels, height, width] of the stock pipeline for such a request."""
    from diffusers import StableDiffusion3Img2ImgPipeline, StableDiffusion3InpaintPipeline

    arguments: dict[str, Any] = {}
    kind = stock
    if request.init_image is not None:
        kind = StableDiffusion3Img2ImgPipeline(**stock.components)
        arguments = {"image": _image(input_files[request.init_image]), "strength": request.strength}
    if request.mask_image is not None:
        kind = StableDiffusion3InpaintPipeline(**stock.components)
        arguments["mask_image"] = _image(input_files[request.mask_image])
    kind.set_progress_bar_config(disable=True)
    output = kind(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        width=request.width,
        height=request.height,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        max_sequence_length=LENGTH,
        generator=torch.Generator("cpu").manual_seed(request.seed),
        output_type="latent",
        **arguments,
    )
    latents: torch.Tensor = output.images[0]
    return latents


def _image(pixels: Pixels) -> Any:
    return Image.fromarray(pixels).convert("RGB")
