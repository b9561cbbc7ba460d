"""The initial latents of a request: noise, a noised image, or a noised image under a mask.

The arithmetic is that of diffusers' SD3 pipelines, with the same random draws in the same order.
"""

from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from app.engine.pipeline import Pixels, Start
from app.engine.state import Repaint
from app.errors import InvalidRequest, OutOfBounds
from app.types import GenerationRequest

MID = 0.5


def steps_skipped(request: GenerationRequest) -> int:
    """Returns how many steps a starting image makes unnecessary; at least one step is left."""
    if request.init_image is None:
        return 0
    steps = request.num_inference_steps
    return min(int(steps - steps * request.strength), steps - 1)


def multistep_schedule(
    steps: int, *, shift: float, train_steps: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns timesteps [steps] and sigmas [steps + 1] of diffusers' multistep flow scheduler."""
    even = np.linspace(1 - 1 / train_steps, 0, steps + 1)
    sigmas = shift * even / (1 + (shift - 1) * even)
    timesteps = (sigmas[:-1] * train_steps).astype(np.int64)  # whole numbers, as in diffusers
    return torch.from_numpy(timesteps).float(), torch.from_numpy(sigmas).float()


def draw_noise(shape: tuple[int, ...], generator: torch.Generator, like: Any) -> torch.Tensor:
    """Returns noise [1, *shape] from a CPU generator, drawn in `like`'s dtype as in diffusers."""
    drawn = torch.randn((1, *shape), generator=generator, dtype=like.dtype)
    return drawn.to(like.device)


def encode_image(vae: Any, pixels: Pixels, generator: torch.Generator) -> torch.Tensor:
    """Encodes an image [height, width, 4] as latents [1, channels, height, width].

    A model without an alpha channel gets the image on white.
    """
    unit = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)
    if vae.config.in_channels == 3:
        unit = unit[:3] * unit[3:] + (1 - unit[3:])
    image = (2 * unit - 1)[None].to(device=vae.device, dtype=vae.dtype)
    image = image.clone(memory_format=torch.channels_last)  # the strides decide the kernel
    drawn = vae.encode(image).latent_dist.sample(generator)
    latents: torch.Tensor = (drawn - vae.config.shift_factor) * vae.config.scaling_factor
    return latents


def add_noise(latents: torch.Tensor, drawn: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Returns the flow at `sigma` between an image (0) and noise (1)."""
    at = sigma.to(latents)
    return at * drawn + (1.0 - at) * latents


def repaint(latents: torch.Tensor, drawn: torch.Tensor, mask: Pixels) -> Repaint:
    """Returns what inpainting keeps: the mask is white (red at least half) to render again."""
    white = torch.from_numpy((mask[:, :, 0] >= 255 * MID).astype(np.float32))
    small = interpolate(white[None, None], size=latents.shape[2:])[0]
    return Repaint(latents=latents[0], noise=drawn[0], mask=small.to(latents))


def check_init_images(request: GenerationRequest, init: Start | None, mask: Pixels | None) -> None:
    """Raises InvalidRequest or OutOfBounds for images that do not belong to the request."""
    if mask is not None and init is None:
        raise InvalidRequest("mask_image is given without init_image; give the image to repaint")
    if request.strength == 0:
        raise InvalidRequest(
            "strength 0 only sets text over init_image; add text_layers "
            "and ask a model that sets text, or raise strength"
        )
    if init is None and request.strength < 1:
        raise InvalidRequest(
            f"strength {request.strength:g} needs init_image; give an image or leave strength at 1"
        )
    for name, pixels in (("init_image", init), ("mask_image", mask)):
        if isinstance(pixels, np.ndarray) and pixels.shape[:2] != (request.height, request.width):
            height, width = pixels.shape[:2]
            raise OutOfBounds(
                f"{name} is {width}x{height} and the request {request.width}x{request.height}; "
                "resize the image first"
            )


def check_latents(init: Start | None, shape: tuple[int, ...]) -> None:
    """Raises OutOfBounds for latents of another shape or with values that are not finite."""
    if not isinstance(init, torch.Tensor):
        return
    if init.shape != shape:
        raise OutOfBounds(
            f"the latents to start from are {list(init.shape)} and the request needs "
            f"{list(shape)}; request the size they were made at"
        )
    if not torch.isfinite(init).all():
        raise OutOfBounds("the latents to start from are not all finite; give others")
