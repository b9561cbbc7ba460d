"""The SD3 family behind the engine's Pipeline protocol; the bundled icons model and SD3.5 use it.

Built from diffusers' own parts. Each request gives the same result as `StableDiffusion3Pipeline`
and its img2img and inpaint variants; features it lacks (IP adapters, skip-layer guidance) are not
accepted either.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from math import exp
from typing import Any, Literal

import numpy as np
import torch

from app.digest import digest, digest_bytes
from app.engine.embedding_cache import EmbeddingCache
from app.engine.pipeline import Pixels, Rows, Start
from app.engine.state import DenoiseState, PromptEmbedding
from app.errors import NotFinite, OutOfBounds, OutOfMemory
from app.models.device import GraphedForward, StepPacer
from app.models.initial_latents import (
    add_noise,
    check_init_images,
    check_latents,
    draw_noise,
    encode_image,
    multistep_schedule,
    repaint,
    steps_skipped,
)
from app.models.preview import LatentColours, with_alpha
from app.types import EngineSettings, GenerationRequest, NoiseSchedule, Sampler

EMBEDDING_CACHE_BYTES = 256 * 2**20
Rounding = Literal["fp32", "stock"]


class Sd3Pipeline:
    """One loaded `StableDiffusion3Pipeline`, driven step by step by the engine.

    With `rounding` "fp32" latents, guidance and step sizes stay in fp32 and only the network
    computes in its own dtype, which is closer to an fp32 run; "stock" rounds where diffusers does,
    for parity. `attention` is the name of the chosen kernel (`device.py`); `graphs` replays each
    row bucket's forward pass as one CUDA graph.
    """

    def __init__(
        self,
        stock: Any,
        *,
        max_sequence_length: int,
        rounding: Rounding = "fp32",
        attention: str = "native",
        graphs: bool = False,
    ) -> None:
        self._stock = stock
        self._max_sequence_length = max_sequence_length
        self._rounding = rounding
        self._attention = attention
        self._device = stock.transformer.device
        self._dtype = stock.transformer.dtype
        self._forward = (
            GraphedForward(stock.transformer, self._device) if graphs else stock.transformer
        )
        self._embeddings = EmbeddingCache(self._encode, byte_limit=EMBEDDING_CACHE_BYTES)
        self._pace = StepPacer(self._device)
        self._colours = LatentColours(stock.vae)

    @property
    def settings(self) -> EngineSettings:
        """Returns how this pipeline computes; the engine fills in mode and row buckets."""
        return EngineSettings(
            mode="reproducible",
            row_buckets=(),
            rounding=self._rounding,
            dtype=str(self._dtype).removeprefix("torch."),
            device=self._device.type,
            attention=self._attention,
            threads=torch.get_num_threads(),
        )

    @property
    def encoder_calls(self) -> int:
        """Returns how often the text encoders ran: once per distinct text while it is cached."""
        return self._embeddings.encoder_calls

    def encode(self, text: str, *, pin: bool = False) -> PromptEmbedding:
        """Returns the text's embedding; texts are encoded singly, so batching cannot change it."""
        return self._embeddings.get(text, pin=pin)

    @torch.inference_mode()
    def _encode(self, text: str) -> PromptEmbedding:
        with _memory("the text encoders"):
            tokens, _, pooled, _ = self._stock.encode_prompt(
                prompt=text,
                prompt_2=None,
                prompt_3=None,
                do_classifier_free_guidance=False,
                max_sequence_length=self._max_sequence_length,
            )
        tokens, pooled = tokens.to(self._dtype), pooled.to(self._dtype)
        return PromptEmbedding(tokens, pooled, digest_bytes(_bytes(tokens) + _bytes(pooled)))

    @torch.inference_mode()
    def begin(
        self, request: GenerationRequest, *, init: Start | None = None, mask: Pixels | None = None
    ) -> DenoiseState:
        """Returns a request's initial state: noise from its seed alone, schedule and embeddings.

        Raises OutOfBounds when the size does not fit the latent grid or an image does not fit the
        size, InvalidRequest when the images do not belong together.
        """
        check_init_images(request, init, mask)
        shape = self._latent_shape(request)
        check_latents(init, shape)
        skipped = steps_skipped(request)
        scheduler, timesteps, sigmas = self._schedule(request, shape)
        generator = torch.Generator("cpu").manual_seed(request.seed)
        original = None if init is None else self._original(init, generator)
        latents = drawn = draw_noise(shape, generator, self._like)
        if original is not None and (mask is None or request.strength < 1):
            latents = add_noise(original, drawn, sigmas[skipped])
        guided = request.guidance_scale > 1
        return DenoiseState(
            request=request,
            latents=latents[0],
            timesteps=timesteps[skipped:],
            sigmas=sigmas[skipped:],
            prompt=self.encode(request.prompt),
            negative=self.encode(request.negative_prompt, pin=True) if guided else None,
            schedule=NoiseSchedule(
                scheduler=scheduler,
                sigmas_digest=digest(sigmas.tolist()),
                steps=len(timesteps) - skipped,
            ),
            repaint=repaint(original, drawn, mask)
            if original is not None and mask is not None
            else None,
        )

    @property
    def _like(self) -> torch.Tensor:
        """Returns an empty tensor with the latents' dtype and device."""
        dtype = self._dtype if self._rounding == "stock" else torch.float32
        return torch.empty(0, device=self._device, dtype=dtype)

    def _original(self, init: Start, generator: torch.Generator) -> torch.Tensor:
        if isinstance(init, torch.Tensor):
            return init[None].to(self._like)
        with _memory("encoding the picture"):
            return encode_image(self._stock.vae, init, generator).to(self._like)

    def _latent_shape(self, request: GenerationRequest) -> tuple[int, int, int]:
        scale = self._stock.vae_scale_factor
        grid = scale * self._stock.patch_size
        if request.width % grid or request.height % grid:
            raise OutOfBounds(
                f"size {request.width}x{request.height} does not fit this model's latent grid; "
                f"use multiples of {grid} pixels"
            )
        channels = self._stock.transformer.config.in_channels
        return channels, request.height // scale, request.width // scale

    def _schedule(
        self, request: GenerationRequest, shape: tuple[int, int, int]
    ) -> tuple[str, torch.Tensor, torch.Tensor]:
        """Returns the scheduler's name, and its timesteps and sigmas on the CPU."""
        scheduler = deepcopy(self._stock.scheduler)
        config = scheduler.config
        shift = self._shift(shape) if config.get("use_dynamic_shifting") else {}
        if request.sampler is Sampler.DPMPP_2M:
            timesteps, sigmas = multistep_schedule(
                request.num_inference_steps,
                shift=exp(shift["mu"]) if shift else config.shift,
                train_steps=config.num_train_timesteps,
            )
            return "DPMSolverMultistepScheduler", timesteps, sigmas
        scheduler.set_timesteps(request.num_inference_steps, device="cpu", **shift)
        return type(scheduler).__name__, scheduler.timesteps, scheduler.sigmas

    def _shift(self, shape: tuple[int, int, int]) -> dict[str, float]:
        from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import (
            calculate_shift,
        )

        config, patch = self._stock.scheduler.config, self._stock.patch_size
        _, height, width = shape
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
        """Runs one forward pass of the transformer over all rows."""
        with _memory(f"{len(rows.latents)} rows"):
            velocity: torch.Tensor = self._forward(
                hidden_states=rows.latents.to(self._dtype),
                timestep=rows.timesteps.to(self._device),
                encoder_hidden_states=rows.tokens,
                pooled_projections=rows.pooled,
                return_dict=False,
            )[0]
        return velocity

    def wait_for_previous_step(self) -> None:
        """Waits until at most one step is running on the device, so that steps can be timed."""
        self._pace.wait_for_previous()

    def preview(self, latents: torch.Tensor) -> Pixels:
        """Returns a rough image of clean latents, one pixel per latent, by a linear map."""
        return self._colours.picture(latents)

    @torch.inference_mode()
    def decode(self, latents: torch.Tensor, request: GenerationRequest) -> Pixels:
        """Decodes latents to RGBA pixels; a model without an alpha channel gives opaque pixels."""
        if not torch.isfinite(latents).all():
            raise NotFinite(
                "the latents ended as no finite numbers; try another seed or less guidance_scale"
            )
        with _memory("decoding"), self._pace.side_stream():
            return _decoded(self._stock.vae, latents)


@contextmanager
def _memory(what: str) -> Iterator[None]:
    """Raises our OutOfMemory for torch's."""
    try:
        yield
    except torch.OutOfMemoryError as exc:
        raise OutOfMemory(f"the device has no memory for {what}; use a smaller size") from exc


def _decoded(vae: Any, latents: torch.Tensor) -> Pixels:
    scaled = latents[None].to(vae.dtype) / vae.config.scaling_factor + vae.config.shift_factor
    image = vae.decode(scaled, return_dict=False)[0][0]
    unit = (image.float() * 0.5 + 0.5).clamp(0, 1)
    return with_alpha((unit.permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8))


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.float().cpu().numpy().tobytes()
