"""Makes images with the stock pipeline, as a user does."""

from collections.abc import Sequence

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, StableDiffusion3Pipeline
from diffusers.models import AutoencoderKL
from transformers import CLIPTokenizer

from jobs.train.starter.drawings import Pixels
from jobs.train.starter.transformer import Generator

_BATCH = 16


def pipeline(
    generator: Generator, vae: AutoencoderKL, tokenizer: CLIPTokenizer
) -> StableDiffusion3Pipeline:
    """Returns the unmodified pipeline with our parts; the third text encoder is absent."""
    for processor in generator.transformer.attn_processors.values():
        processor.null_weight = 1.0
    pipe = StableDiffusion3Pipeline(
        transformer=generator.transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
        vae=vae,
        text_encoder=generator.text_encoder,
        tokenizer=tokenizer,
        text_encoder_2=generator.text_encoder_2,
        tokenizer_2=tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def sample(
    pipe: StableDiffusion3Pipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    steps: int,
    guidance: float,
    max_sequence_length: int = 1,
) -> Pixels:
    """Returns uint8 RGBA [n, 64, 64, 4], one image for each prompt and seed."""
    batches = []
    for start in range(0, len(prompts), _BATCH):
        part = slice(start, start + _BATCH)
        images = pipe(
            prompt=list(prompts[part]),
            width=64,
            height=64,
            num_inference_steps=steps,
            guidance_scale=guidance,
            max_sequence_length=max_sequence_length,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds[part]],
            output_type="np",
        ).images
        batches.append(np.round(np.clip(images, 0, 1) * 255).astype(np.uint8))
    return np.concatenate(batches)
