"""Training pairs: a drawing at 256 pixels, and small images at 64 like those of the starter.

The small images are the drawing itself, the drawing after the starter's autoencoder with noise on
its latents, and the drawing after img2img by the starter at two strengths.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers import StableDiffusion3Img2ImgPipeline, StableDiffusion3Pipeline
from numpy.typing import NDArray
from PIL import Image

from jobs.train.stages import ProgressLog
from jobs.train.starter import drawings, vae
from jobs.train.starter.captions import caption
from jobs.train.starter.drawings import COLOURS, KINDS, STYLES, Label, Pixels, all_labels
from jobs.train.starter.shapes import SHAPES, Part

TRAINING, VALIDATION, HELD_OUT = 60_000_000, 70_000_000, 80_000_000
"""The first seed of each set; the starter's own sets end far below."""
SOFTENINGS = ("clean", "softened", "repainted", "repainted more")
"""How the small images of a pair are made, in order."""
LARGE = drawings.SIZE * drawings.SUPERSAMPLING

_SHIFTS = ((-7, -1), (-5, 5), (-3, -5), (-1, 1), (1, 7), (3, -3), (5, 3), (7, -7))
"""Eight positions inside a pixel, in sixteenths; no two share a row or a column."""
_STRIDE = 103
"""The step between successive labels, so that a short set also holds every kind and colour."""


@dataclass(frozen=True, slots=True)
class PairSettings:
    """Everything that decides the pairs, besides the starter's weights."""

    training: int = 720
    validation: int = 24
    held_out: int = 160
    latent_noise: float = 0.3
    """Largest spread of the noise added to latents before they are decoded."""
    strengths: tuple[float, float] = (0.25, 0.4)
    """The img2img strengths of the last two small images."""
    steps: int = 12
    guidance: float = 2.0
    batch: int = 16
    seed: int = 6


@dataclass(frozen=True, slots=True)
class Pairs:
    """Large drawings [n, 256, 256, 4] and their small images [n, 4, 64, 64, 4], uint8.

    The second axis of the small images is `SOFTENINGS`.
    """

    large: Pixels
    small: Pixels
    labels: tuple[Label, ...]

    def __len__(self) -> int:
        return len(self.labels)


def save(pairs: Pairs, folder: Path) -> None:
    """Writes a set as two files."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "large.npy", pairs.large)
    np.save(folder / "small.npy", pairs.small)


def load(folder: Path) -> Pairs:
    """Reads a set that `save` wrote; the large drawings are memory-mapped and read on access."""
    large = np.load(folder / "large.npy", mmap_mode="r", allow_pickle=False)
    return Pairs(large, np.load(folder / "small.npy", allow_pickle=False), labels(len(large)))


def labels(count: int) -> tuple[Label, ...]:
    """Returns the labels of a set of this size."""
    every = all_labels()
    return tuple(every[i * _STRIDE % len(every)] for i in range(count))


def make_pairs(
    count: int,
    first_seed: int,
    pipe: StableDiffusion3Pipeline,
    settings: PairSettings,
    report: ProgressLog,
) -> Pairs:
    """Returns `count` drawings and their small images.

    The same seeds and device give the same bytes.
    """
    shown = labels(count)
    large = np.empty((count, LARGE, LARGE, 4), np.uint8)
    small = np.empty((count, len(SOFTENINGS), drawings.SIZE, drawings.SIZE, 4), np.uint8)
    for start in range(0, count, settings.batch):
        stop = min(start + settings.batch, count)
        for index in range(start, stop):
            large[index] = draw_large(shown[index], first_seed + index)
            small[index, 0] = drawings.draw(shown[index], first_seed + index)
        part = slice(start, stop)
        rng = np.random.default_rng([settings.seed, first_seed + start])
        small[part, 1] = vae.soften(pipe.vae, small[part, 0], settings.latent_noise, rng)
        for index, strength in enumerate(settings.strengths, start=2):
            small[part, index] = repaint(small[part, 0], shown[part], pipe, strength, settings, rng)
        report(stop, count)
    return Pairs(large, small, shown)


def draw_large(label: Label, seed: int) -> Pixels:
    """Returns the drawing of a label and seed at 256 x 256, straight alpha, with smooth edges.

    The renderer draws hard edges at this size. Drawing eight times, each time shifted by part of a
    pixel, and averaging is the accumulation buffer of Haeberli and Akeley (1990).
    """
    outline = 1.5 * drawings.SUPERSAMPLING if label.style == "cartoon" else 0.0
    parts, palette = _parts(label, seed, outline)
    total = np.zeros((LARGE, LARGE, 4), np.float32)
    for x, y in _SHIFTS:
        shifted = [replace(part, points=part.points + np.array([x, y]) / 16) for part in parts]
        rgb, alpha, _ = drawings._painted(shifted, palette, label.style, outline)
        cover = (alpha > 0)[..., None]
        total += np.concatenate([rgb * cover, cover * np.uint8(255)], axis=2)
    coverage = total[..., 3:]
    colour = total[..., :3] / np.maximum(coverage / 255, 1)
    averaged = np.concatenate([colour, coverage / len(_SHIFTS)], axis=2)
    return averaged.round().clip(0, 255).astype(np.uint8)


def _parts(
    label: Label, seed: int, outline: float
) -> tuple[list[Part], dict[str, NDArray[np.float64]]]:
    """Returns the placed parts and the palette, exactly those that `draw` uses."""
    names = (KINDS, list(COLOURS), STYLES)
    label_words = (label.kind, label.colour, label.style)
    rng = np.random.default_rng(
        [seed, *(a.index(b) for a, b in zip(names, label_words, strict=True))]
    )
    parts = drawings._placed(SHAPES[label.kind](rng), outline, rng)
    return parts, drawings._palette(label.colour, rng)


def repaint(
    pixels: Pixels,
    shown: Sequence[Label],
    pipe: StableDiffusion3Pipeline,
    strength: float,
    settings: PairSettings,
    rng: np.random.Generator,
) -> Pixels:
    """Returns the images after img2img by the starter at `strength`, with captions as prompts."""
    img2img = StableDiffusion3Img2ImgPipeline(**pipe.components)
    img2img.set_progress_bar_config(disable=True)
    seeds = rng.integers(2**31, size=len(pixels))
    images = img2img(
        prompt=[caption(label, rng, complete=True) for label in shown],
        image=[Image.fromarray(image) for image in pixels],
        strength=strength,
        width=drawings.SIZE,
        height=drawings.SIZE,
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance,
        max_sequence_length=1,
        generator=[torch.Generator().manual_seed(int(seed)) for seed in seeds],
        output_type="np",
    ).images
    return cast(Pixels, np.round(np.clip(images, 0, 1) * 255).astype(np.uint8))
