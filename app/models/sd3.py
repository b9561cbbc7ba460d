"""The SD3 family behind the engine's Pipeline protocol: the starter and SD3.5 run the same code.

Built on diffusers' own parts. Equal to `StableDiffusion3Pipeline` request by request; what it
leaves out of the stock pipeline (IP adapters, skip-layer guidance) it does not accept either.
"""

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from app.digest import digest, digest_bytes
from app.engine.embeddings import EmbeddingCache
from app.engine.pipeline import Rows
from app.engine.state import DenoiseState, PromptEmbedding
from app.errors import OutOfBounds
from app.types import EngineSettings, GenerationRequest, NoiseSchedule

EMBEDDING_CACHE_BYTES = 256 * 2**20


class Sd3Pipeline:
    """One loaded `StableDiffusion3Pipeline`, driven step by step by the engine."""

    def __init__(self, stock: Any, *, max_sequence_length: int) -> None:
        self._stock = stock
        self._max_sequence_length = max_sequence_length
        self._device = stock.transformer.device
        self._dtype = stock.transformer.dtype
        self._embeddings = EmbeddingCache(self._encode, byte_limit=EMBEDDING_CACHE_BYTES)

    @property
    def settings(self) -> EngineSettings:
        """How this pipeline computes; the row bucket is the engine's to fill in."""
        return EngineSettings(
            mode="reproducible",
            row_bucket=1,
            dtype=str(self._dtype).removeprefix("torch."),
            device=self._device.type,
            attention="native",
            threads=torch.get_num_threads(),
        )

    @property
    def encoder_calls(self) -> int:
        """How often the text encoders ran: once per distinct text while the cache holds it."""
        return self._embeddings.encoder_calls

    def encode(self, text: str) -> PromptEmbedding:
        """The text's embedding; encoded alone, so that company cannot change it."""
        return self._embeddings.get(text)

    @torch.inference_mode()
    def _encode(self, text: str) -> PromptEmbedding:
        tokens, _, pooled, _ = self._stock.encode_prompt(
            prompt=text,
            prompt_2=None,
            prompt_3=None,
            do_classifier_free_guidance=False,
            max_sequence_length=self._max_sequence_length,
        )
        tokens, pooled = tokens.to(self._dtype), pooled.to(self._dtype)
        return PromptEmbedding(tokens, pooled, digest_bytes(_bytes(tokens) + _bytes(pooled)))

    def begin(self, request: GenerationRequest) -> DenoiseState:
        """A request's start: its noise from its seed alone, its own schedule, its embeddings.

        Raises OutOfBounds when the size does not fit the latent grid.
        """
        latents = self._noise(request)
        timesteps, sigmas = self._schedule(request.num_inference_steps, latents)
        guided = request.guidance_scale > 1
        return DenoiseState(
            request=request,
            latents=latents,
            timesteps=timesteps,
            sigmas=sigmas,
            prompt=self.encode(request.prompt),
            negative=self.encode(request.negative_prompt) if guided else None,
            schedule=NoiseSchedule(
                scheduler=type(self._stock.scheduler).__name__,
                sigmas_digest=digest(sigmas.tolist()),
                steps=len(timesteps),
            ),
        )

    def _noise(self, request: GenerationRequest) -> torch.Tensor:
        scale = self._stock.vae_scale_factor
        grid = scale * self._stock.patch_size
        if request.width % grid or request.height % grid:
            raise OutOfBounds(
                f"size {request.width}x{request.height} does not fit this model's latent grid; "
                f"use multiples of {grid} pixels"
            )
        channels = self._stock.transformer.config.in_channels
        shape = (channels, request.height // scale, request.width // scale)
        generator = torch.Generator("cpu").manual_seed(request.seed)
        return torch.randn(shape, generator=generator).to(self._device)

    def _schedule(self, steps: int, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scheduler = deepcopy(self._stock.scheduler)
        shift = self._shift(latents) if scheduler.config.get("use_dynamic_shifting") else {}
        scheduler.set_timesteps(steps, device=self._device, **shift)
        return scheduler.timesteps, scheduler.sigmas.to(self._device)

    def _shift(self, latents: torch.Tensor) -> dict[str, float]:
        from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import (
            calculate_shift,
        )

        config, patch = self._stock.scheduler.config, self._stock.patch_size
        _, height, width = latents.shape
        return {
            "mu": calculate_shift(
                (height // patch) * (width // patch),
                config.get("base_image_seq_len", 256),
                config.get("max_image_seq_len", 4096),
                config.get("base_shift", 0.5),
                config.get("max_shift", 1.16),
            )
        }

    def predict(self, rows: Rows) -> torch.Tensor:
        """One forward pass of the transformer over all rows."""
        velocity: torch.Tensor = self._stock.transformer(
            hidden_states=rows.latents.to(self._dtype),
            timestep=rows.timesteps,
            encoder_hidden_states=rows.tokens,
            pooled_projections=rows.pooled,
            return_dict=False,
        )[0]
        return velocity

    @torch.inference_mode()
    def decode(self, latents: torch.Tensor) -> NDArray[np.uint8]:
        """Latents -> RGBA pixels; a model without an alpha channel gives opaque pixels."""
        vae = self._stock.vae
        scaled = latents[None].to(vae.dtype) / vae.config.scaling_factor + vae.config.shift_factor
        image = vae.decode(scaled, return_dict=False)[0][0]
        unit = (image.float() * 0.5 + 0.5).clamp(0, 1)
        return with_alpha((unit.permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8))


def with_alpha(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB or RGBA pixels [height, width, 3 or 4] -> RGBA; missing alpha is opaque."""
    if pixels.shape[2] == 4:
        return pixels
    return np.concatenate([pixels, np.full_like(pixels[:, :, :1], 255)], axis=2)


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.float().cpu().numpy().tobytes()
