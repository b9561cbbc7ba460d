"""What the upscaler is worth, held against plain enlarging: on drawings and on what is painted."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from app.check.agreement import Critic
from app.models.upscaler import Upscaler
from app.value import Value
from jobs.starter.drawings import COLOURS, KINDS, Pixels
from jobs.starter.evaluation import load_pipeline, plain_labels, plain_prompts
from jobs.starter.sampling import sample
from jobs.starter.sheet import save_sheet
from jobs.upscaler.baselines import Method, lanczos, methods, nearest
from jobs.upscaler.pairs import WAYS, Pairs

_FAINT, _FULL = 16, 239
"""Alpha below the first is haze, between the two half clear."""


@dataclass(frozen=True, slots=True)
class FigureSettings:
    """How many pictures of the starter are looked at, and how they are painted."""

    pictures: int = 160
    """Every kind and colour in turn, with the seeds of the starter's own sheet."""
    steps: int = 12
    guidance: float = 2.0


class Likeness(Value):
    """How like the true drawings the enlarged ones are: means over pictures."""

    psnr: float
    """Of colour over middle grey, in dB."""
    ssim: float
    alpha_error: float
    """Mean difference of alpha in steps of 255."""


class Looks(Value):
    """What can be said of enlarged pictures that have no true drawing: means over pictures."""

    half_clear: float
    """Pixels with an alpha between 16 and 239, for each pixel that is at least half opaque."""
    haze: float
    """Pixels with an alpha between 1 and 15, for each pixel that is at least half opaque."""
    agreement: float
    """The critic's, with the plain caption; it reduces every picture to 64 x 64 first."""
    accepted: float
    """Share whose agreement reaches the critic's threshold."""


class Figures(Value):
    """Everything that the card tells about quality."""

    held_out: int
    likeness: dict[str, dict[str, Likeness]]
    """By what the small side went through, then by how it was enlarged."""
    pictures: int
    looks: dict[str, Looks]
    """Of the starter's pictures by how they were enlarged, of the pictures as painted, and of
    held-out drawings at the large size."""
    seconds_per_picture: float


def measure(
    upscaler: Upscaler,
    held_out: Pairs,
    starter: Path,
    settings: FigureSettings,
    device: torch.device,
    sheets: Path,
) -> Figures:
    """All figures; writes `sheet.png` into `sheets`."""
    every = methods(upscaler)
    captions = plain_prompts(plain_labels(settings.pictures))
    pipe = load_pipeline(starter, device)
    painted = sample(
        pipe,
        captions,
        range(settings.pictures),
        steps=settings.steps,
        guidance=settings.guidance,
    )
    critic = Critic.load(starter.parent / "critic")
    enlarged = {name: [method(picture) for picture in painted] for name, method in every.items()}
    del enlarged["nearest"]
    looks = {name: looked_at(made, captions, critic) for name, made in enlarged.items()}
    looks["as painted, 64 px"] = looked_at(list(painted), captions, critic)
    looks["drawings, 256 px"] = looked_at(
        list(held_out.large), plain_prompts(held_out.labels), critic
    )
    save_pictures(painted, upscaler, sheets)
    return Figures(
        held_out=len(held_out),
        likeness={way: _likenesses(held_out, index, every) for index, way in enumerate(WAYS)},
        pictures=settings.pictures,
        looks=looks,
        seconds_per_picture=_seconds(upscaler, painted),
    )


def _likenesses(held_out: Pairs, way: int, every: dict[str, Method]) -> dict[str, Likeness]:
    return {
        name: likeness([method(small) for small in held_out.small[:, way]], held_out.large)
        for name, method in every.items()
    }


def likeness(made: Sequence[Pixels], true: Sequence[Pixels] | Pixels) -> Likeness:
    """How like pictures are to their true drawings, each [h, w, 4]."""
    pairs = [(on_grey(a), on_grey(b)) for a, b in zip(made, true, strict=True)]
    errors = [np.abs(a[..., 3].astype(int) - b[..., 3]) for a, b in zip(made, true, strict=True)]
    return Likeness(
        psnr=float(np.mean([psnr(a, b) for a, b in pairs])),
        ssim=float(np.mean([ssim(a, b) for a, b in pairs])),
        alpha_error=float(np.mean([error.mean() for error in errors])),
    )


def on_grey(pixels: Pixels) -> NDArray[np.float32]:
    """The picture over middle grey, [h, w, 3] from 0 to 1."""
    unit = pixels.astype(np.float32) / 255
    alpha = unit[..., 3:]
    return np.asarray(unit[..., :3] * alpha + 0.5 * (1 - alpha), np.float32)


def psnr(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Peak signal-to-noise ratio in dB; 100 at most, for equal pictures have none."""
    return float(-10 * np.log10(max(float(np.mean((a - b) ** 2)), 1e-10)))


def ssim(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Structural similarity (Wang et al. 2004), Gaussian window of sigma 1.5, mean of channels."""

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float32)

    mean_a, mean_b = mean(a), mean(b)
    spread = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    shared = mean(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
    return float((light * (2 * shared + 9e-4) / (spread + 9e-4)).mean())


def looked_at(made: Sequence[Pixels], captions: Sequence[str], critic: Critic) -> Looks:
    """What can be said of pictures that have no true drawing."""
    alphas = [picture[..., 3].astype(int) for picture in made]
    half = [_share((alpha >= _FAINT) & (alpha <= _FULL), alpha) for alpha in alphas]
    haze = [_share((alpha > 0) & (alpha < _FAINT), alpha) for alpha in alphas]
    agreement = critic.agreement(np.stack(made), captions)
    return Looks(
        half_clear=float(np.mean(half)),
        haze=float(np.mean(haze)),
        agreement=float(agreement.mean()),
        accepted=float((agreement >= critic.threshold).mean()),
    )


def _share(chosen: NDArray[np.bool_], alpha: NDArray[np.int_]) -> float:
    return float(chosen.sum() / max((alpha >= 128).sum(), 1))


def _seconds(upscaler: Upscaler, painted: Pixels) -> float:
    """Wall time of one picture: the best of ten."""
    found = []
    for picture in painted[:10]:
        started = time.perf_counter()
        upscaler.enlarge(picture)
        found.append(time.perf_counter() - started)
    return min(found)


def save_pictures(painted: Pixels, upscaler: Upscaler, folder: Path) -> None:
    """`sheet.png`: kind by kind, with the colours in turn, nearest, Lanczos and enlarged by us."""
    chosen = [k % len(COLOURS) * len(KINDS) + k for k in range(len(KINDS))]
    ways = (nearest, lanczos, upscaler.enlarge)
    shown = [index for index in chosen if index < len(painted)]
    frames = [way(painted[index]) for index in shown for way in ways]
    save_sheet(np.stack(frames), 2 * len(ways), folder / "sheet.png")
