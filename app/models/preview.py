"""Previews while denoising: a linear map from latents to colours, fitted to the decoder.

Decoders of latent diffusion are nearly linear in colour, so least squares over a decoder's output
for smooth random latents is enough: no images are needed, and any VAE works.
"""

from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate

from app.engine.pipeline import Pixels

SAMPLES = 48
LATENT_SIDE = 8
BLOBS = 3
"""A sample is this many random latents a side, enlarged smoothly, which resembles real images."""


class LatentColours:
    """One VAE's map from a latent [channels] to a colour, fitted at first use."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae

    def picture(self, latents: torch.Tensor) -> Pixels:
        """Returns RGBA pixels [height, width, 4] for clean latents [channels, height, width]."""
        colours = _columns(latents[None]) @ self._map
        unit = colours.clamp(0, 1).reshape(*latents.shape[1:], -1).cpu().numpy()
        pixels = (unit * 255).round().astype(np.uint8)
        return with_alpha(pixels)

    @cached_property
    def _map(self) -> torch.Tensor:
        """Returns [latent channels + 1, colour channels]; the last row is the constant term."""
        latents = self._samples()
        with torch.inference_mode():
            scaled = latents / self._vae.config.scaling_factor + self._vae.config.shift_factor
            images = self._vae.decode(scaled.to(self._vae.dtype), return_dict=False)[0]
        unit = (images.float() * 0.5 + 0.5).clamp(0, 1)
        colours = avg_pool2d(unit, unit.shape[-1] // LATENT_SIDE)
        wanted = colours.permute(0, 2, 3, 1).reshape(-1, colours.shape[1])
        solution: torch.Tensor = torch.linalg.lstsq(_columns(latents), wanted).solution
        return solution

    def _samples(self) -> torch.Tensor:
        generator = torch.Generator("cpu").manual_seed(0)
        channels = self._vae.config.latent_channels
        blobs = torch.randn((SAMPLES, channels, BLOBS, BLOBS), generator=generator)
        return interpolate(blobs, size=(LATENT_SIDE, LATENT_SIDE), mode="bilinear").to(
            self._vae.device
        )


def with_alpha(pixels: Pixels) -> Pixels:
    """Returns RGBA for RGB or RGBA pixels [height, width, 3 or 4]; missing alpha is opaque."""
    if pixels.shape[2] == 4:
        return pixels
    return np.concatenate([pixels, np.full_like(pixels[:, :, :1], 255)], axis=2)


def _columns(latents: torch.Tensor) -> torch.Tensor:
    """Maps [n, channels, height, width] to [pixels, channels + 1] with a constant at the end."""
    columns = latents.float().permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
    return torch.cat([columns, torch.ones_like(columns[:, :1])], dim=1)
