"""Trains the upscaler on pairs; continues from a checkpoint.

The data of step n depend only on the seed and n, so a run that was stopped and continued gives the
same weights as an uninterrupted run.
"""

import copy
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from app.models.upscaler import SCALE, UpscalerConfig, UpscalerNetwork, fill_transparent, to_unit
from jobs.train.starter.drawings import Pixels
from jobs.train.starter.flow_matching import warm_up_then_fall
from jobs.train.starter.stages import ProgressLog
from jobs.train.upscaler.figures import FigureSettings
from jobs.train.upscaler.pairs import SOFTENINGS, Pairs, PairSettings


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """Everything that decides the network's training, besides its shape and its pairs."""

    samples: int = 26_000
    batch: int = 8
    crop: int = 32
    """The side of the crop from the small side of a pair, in pixels."""
    way_shares: tuple[float, ...] = (0.25, 0.2, 0.3, 0.25)
    """How often each of `SOFTENINGS` is used."""
    other_colours: float = 0.3
    """Share of the batches whose colour channels are permuted."""
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-4
    warm_up: int = 100
    ema: float = 0.998
    evaluate_every: int = 650
    """Steps between two validations."""
    seed: int = 7


@dataclass(slots=True)
class Run:
    """The state of a training run: everything a checkpoint holds."""

    network: UpscalerNetwork
    average: UpscalerNetwork
    optimizer: AdamW
    schedule: LambdaLR
    step: int = 0


def learn(
    config: UpscalerConfig,
    training: Pairs,
    validation: Pairs,
    settings: LearningSettings,
    *,
    checkpoint: Path,
    device: torch.device,
    report: ProgressLog,
    preview: Callable[[UpscalerNetwork, int], None],
    checkpoint_seconds: float = 60.0,
) -> UpscalerNetwork:
    """Returns the averaged network after all steps; continues from `checkpoint` if it exists."""
    steps = max(settings.samples // settings.batch, 1)
    run = _start(config, settings, steps, device)
    seen = fill_all(training)
    if checkpoint.exists():
        _restore(run, checkpoint, device)
    saved = time.monotonic()
    while run.step < steps:
        loss = _step(run, training, seen, settings, device)
        if run.step % settings.evaluate_every == 0 or run.step == steps:
            measured = validation_loss(run.average, validation, device)
            figures = ", ".join(f"{way} {value:.4f}" for way, value in measured.items())
            report(run.step * settings.batch, settings.samples, figures, always=True)
            preview(run.average, run.step)
        if time.monotonic() - saved > checkpoint_seconds:
            _save(run, checkpoint)
            saved = time.monotonic()
        report(run.step * settings.batch, settings.samples, f"loss {loss:.4f}")
    return run.average.eval()


def _start(
    config: UpscalerConfig, settings: LearningSettings, steps: int, device: torch.device
) -> Run:
    torch.manual_seed(settings.seed)
    network = UpscalerNetwork(config)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    optimizer = AdamW(
        network.parameters(),
        lr=settings.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=settings.weight_decay,
    )
    schedule = warm_up_then_fall(optimizer, steps, warm_up=min(settings.warm_up, steps // 10 + 1))
    return Run(network, copy.deepcopy(network).requires_grad_(False), optimizer, schedule)


def fill_all(pairs: Pairs) -> Tensor:
    """Returns all small sides in the network's form, [n, ways, 4, 64, 64]; 0.26 MB per pair."""
    return torch.stack([fill_transparent(to_unit(ways)) for ways in pairs.small])


def _step(
    run: Run, training: Pairs, seen: Tensor, settings: LearningSettings, device: torch.device
) -> float:
    rng = np.random.default_rng([settings.seed, run.step])
    small, large = batch(training, seen, settings, rng)
    loss = picture_loss(run.network(small.to(device)), large.to(device))
    run.optimizer.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    run.optimizer.step()
    run.schedule.step()
    decay = min(settings.ema, (run.step + 1) / (run.step + 10))
    with torch.no_grad():
        averages: list[Tensor] = list(run.average.parameters())
        torch._foreach_lerp_(averages, list(run.network.parameters()), 1 - decay)
    run.step += 1
    return float(loss.detach())


def batch(
    pairs: Pairs, seen: Tensor, settings: LearningSettings, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Returns crops of pairs, rotated and mirrored: filled small ones and straight large ones.

    `seen` is what `fill_all` returns for these pairs.
    """
    side = settings.crop
    shares = np.array(settings.way_shares) / sum(settings.way_shares)
    chosen = rng.integers(len(pairs), size=settings.batch)
    ways = rng.choice(len(SOFTENINGS), p=shares, size=settings.batch)
    small = seen[chosen, ways]
    corners = rng.integers(small.shape[-1] - side + 1, size=(settings.batch, 2))
    cut, large = [], []
    for index, (y, x) in enumerate(corners):
        cut.append(small[index, :, y : y + side, x : x + side])
        large.append(_cut(pairs.large[chosen[index]], y * SCALE, x * SCALE, side * SCALE))
    turned = _turned(torch.stack(cut), torch.stack(large), rng)
    if rng.random() < settings.other_colours:
        places = [*rng.permutation(3).tolist(), 3]
        return turned[0][:, places], turned[1][:, places]
    return turned


def _cut(picture: Pixels, y: int, x: int, side: int) -> Tensor:
    return to_unit(picture[None, y : y + side, x : x + side])[0]


def _turned(small: Tensor, large: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Returns both in one of the eight orientations of a square, the same for the whole batch."""
    quarters, mirrored = int(rng.integers(4)), rng.random() < 0.5
    turned = [torch.rot90(images, quarters, (2, 3)) for images in (small, large)]
    a, b = (images.flip(3) if mirrored else images for images in turned)
    return a, b


def picture_loss(drawn: Tensor, true: Tensor) -> Tensor:
    """Returns the distance of the network's output from the drawing.

    It is taken over black, over white, and at edges. Values outside 0 to 1 count a little too;
    otherwise a pixel outside could not return.
    """
    made = drawn.clamp(0, 1)
    a, b = _seen(made), _seen(true)
    edges = sum(F.l1_loss(a.diff(dim=d), b.diff(dim=d)) for d in (2, 3))
    visible = (true[:, 3:] > 0).float()
    straight = F.l1_loss(drawn[:, :3] * visible, true[:, :3] * visible)
    beyond = F.l1_loss(drawn, made.detach())
    return F.l1_loss(a, b) * 2 + F.mse_loss(a, b) * 4 + edges + straight * 0.1 + beyond * 0.1


def _seen(images: Tensor) -> Tensor:
    """Returns colour over black, colour over white, and alpha."""
    colour = images[:, :3] * images[:, 3:]
    return torch.cat([colour, colour + 1 - images[:, 3:], images[:, 3:]], dim=1)


@torch.no_grad()
def validation_loss(
    network: UpscalerNetwork, validation: Pairs, device: torch.device
) -> dict[str, float]:
    """Returns the mean loss over whole images, for each of `SOFTENINGS`."""
    errors = {}
    for way, name in enumerate(SOFTENINGS):
        losses = []
        for index in range(len(validation)):
            small = fill_transparent(to_unit(validation.small[index : index + 1, way])).to(device)
            true = to_unit(validation.large[index : index + 1]).to(device)
            losses.append(float(picture_loss(network(small), true)))
        errors[name] = float(np.mean(losses))
    return errors


def _save(run: Run, path: Path) -> None:
    """Writes the checkpoint to a temporary file, then renames it."""
    growing = path.with_suffix(".growing")
    state = {
        "network": run.network.state_dict(),
        "average": run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "schedule": run.schedule.state_dict(),
        "step": run.step,
    }
    torch.save(state, growing)
    os.replace(growing, path)


def _restore(run: Run, path: Path, device: torch.device) -> None:
    state = torch.load(path, map_location=device, weights_only=True)
    run.network.load_state_dict(state["network"])
    run.average.load_state_dict(state["average"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.schedule.load_state_dict(state["schedule"])
    run.step = state["step"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of every stage."""

    network: UpscalerConfig = field(default_factory=UpscalerConfig)
    pairs: PairSettings = field(default_factory=PairSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)
    figures: FigureSettings = field(default_factory=FigureSettings)

    @classmethod
    def tiny(cls) -> Self:
        """Returns a recipe whose stages take a few seconds, for tests; the images mean nothing."""
        return cls(
            network=UpscalerConfig(channels=8, deep=8, blocks=1, fine=4),
            pairs=PairSettings(training=8, validation=2, held_out=3, steps=4),
            learning=LearningSettings(samples=48, batch=4, crop=16, evaluate_every=6),
            figures=FigureSettings(pictures=16, steps=2, large=1),
        )
