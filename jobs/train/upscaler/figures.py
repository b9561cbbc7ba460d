"""Measures the upscaler against plain enlarging, on drawings and on images of the starter."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusion3Pipeline
from numpy.typing import NDArray

from app.check.agreement import Critic
from app.models.upscaler import Upscaler
from app.types.base import Value
from jobs.train.starter.data import save_sheet
from jobs.train.starter.drawings import COLOURS, KINDS, Pixels
from jobs.train.starter.evaluation import load_pipeline, plain_labels, plain_prompts
from jobs.train.starter.sampling import sample
from jobs.train.upscaler.baselines import Method, lanczos, methods, nearest
from jobs.train.upscaler.large import LargeFigures, measure_large
from jobs.train.upscaler.likeness import Likeness, likeness
from jobs.train.upscaler.pairs import SOFTENINGS, Pairs

_FAINT, _FULL = 16, 239
"""Alpha below the first is haze; from the first to the second it is half clear."""


@dataclass(frozen=True, slots=True)
class FigureSettings:
    """How many images of the starter are measured, and how they are rendered."""

    pictures: int = 160
    """Number of images: every kind and colour in turn, with the seeds of the starter's own sheet.
    """
    steps: int = 12
    guidance: float = 2.0
    large: int = 16
    """How many of the images on the sheet are also enlarged to 2048 pixels."""


class Looks(Value):
    """Measures of enlarged images that have no true drawing: means over images."""

    half_clear: float
    """Pixels with an alpha from 16 to 239, for each pixel that is at least half opaque."""
    haze: float
    """Pixels with an alpha from 1 to 15, for each pixel that is at least half opaque."""
    agreement: float
    """The critic's agreement with the plain caption; it reduces every image to 64 x 64 first."""
    accepted: float
    """Share of images whose agreement reaches the critic's threshold."""


class Figures(Value):
    """Every figure about quality that the card gives."""

    held_out: int
    likeness: dict[str, dict[str, Likeness]]
    """By how the small image was made, then by how it was enlarged."""
    pictures: int
    looks: dict[str, Looks]
    """Of starter images by enlarging method, of images as rendered, and of large held-out drawings.
    """
    seconds_per_picture: float
    large: LargeFigures


def measure(
    upscaler: Upscaler,
    held_out: Pairs,
    starter: Path,
    settings: FigureSettings,
    device: torch.device,
    sheets: Path,
) -> Figures:
    """Returns all figures; writes `sheet.png` into `sheets`."""
    enlarge = methods(upscaler)
    captions = _captions(settings)
    rendered = render_pictures(load_pipeline(starter, device), settings)
    critic = Critic.load(starter.parent / "critic")
    looks = {
        name: measure_looks([method(image) for image in rendered], captions, critic)
        for name, method in enlarge.items()
        if name != "nearest"
    }
    looks["as painted, 64 px"] = measure_looks(list(rendered), captions, critic)
    looks["drawings, 256 px"] = measure_looks(
        list(held_out.large), plain_prompts(held_out.labels), critic
    )
    save_pictures(rendered, upscaler, sheets)
    return Figures(
        held_out=len(held_out),
        likeness={
            name: _likenesses(held_out, index, enlarge) for index, name in enumerate(SOFTENINGS)
        },
        pictures=settings.pictures,
        looks=looks,
        seconds_per_picture=_seconds(upscaler, rendered),
        large=measure_large(on_sheet(rendered)[: settings.large], upscaler),
    )


def render_pictures(pipe: StableDiffusion3Pipeline, settings: FigureSettings) -> Pixels:
    """Returns the images to measure, rendered by the starter, [n, 64, 64, 4]."""
    return sample(
        pipe,
        _captions(settings),
        range(settings.pictures),
        steps=settings.steps,
        guidance=settings.guidance,
    )


def _captions(settings: FigureSettings) -> list[str]:
    return plain_prompts(plain_labels(settings.pictures))


def _likenesses(held_out: Pairs, index: int, enlarge: dict[str, Method]) -> dict[str, Likeness]:
    return {
        name: likeness([method(small) for small in held_out.small[:, index]], held_out.large)
        for name, method in enlarge.items()
    }


def measure_looks(images: Sequence[Pixels], captions: Sequence[str], critic: Critic) -> Looks:
    """Returns the measures of images that have no true drawing."""
    alphas = [image[..., 3].astype(int) for image in images]
    half = [_share((alpha >= _FAINT) & (alpha <= _FULL), alpha) for alpha in alphas]
    haze = [_share((alpha > 0) & (alpha < _FAINT), alpha) for alpha in alphas]
    agreement = critic.agreement(np.stack(images), captions)
    return Looks(
        half_clear=float(np.mean(half)),
        haze=float(np.mean(haze)),
        agreement=float(agreement.mean()),
        accepted=float((agreement >= critic.threshold).mean()),
    )


def _share(chosen: NDArray[np.bool_], alpha: NDArray[np.int_]) -> float:
    return float(chosen.sum() / max((alpha >= 128).sum(), 1))


def _seconds(upscaler: Upscaler, rendered: Pixels) -> float:
    """Returns the wall time in seconds for one image: the best of ten."""
    times = []
    for image in rendered[:10]:
        started = time.perf_counter()
        upscaler.upscale(image)
        times.append(time.perf_counter() - started)
    return min(times)


def save_pictures(rendered: Pixels, upscaler: Upscaler, folder: Path) -> None:
    """Writes `sheet.png`: one image of each kind, the colours in turn.

    Each is enlarged by nearest, Lanczos and the upscaler.
    """
    enlarge = (nearest, lanczos, upscaler.upscale)
    images = [method(image) for image in on_sheet(rendered) for method in enlarge]
    save_sheet(np.stack(images), 2 * len(enlarge), folder / "sheet.png")


def on_sheet(rendered: Pixels) -> list[Pixels]:
    """Returns one image of each kind, the colours in turn, as far as `rendered` reaches."""
    chosen = [k % len(COLOURS) * len(KINDS) + k for k in range(len(KINDS))]
    return [rendered[index] for index in chosen if index < len(rendered)]
