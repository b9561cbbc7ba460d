"""Trains the upscaler on pairs; continues from a checkpoint.

The data of a step depend only on the seed and the step.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from app.models.upscaler import SCALE, UpscalerConfig, UpscalerNetwork, fill_transparent, to_unit
from jobs.train.loop import LoopSettings, RunOptions, TrainingLoop
from jobs.train.starter.drawings import Pixels
from jobs.train.upscaler.figures import FigureSettings
from jobs.train.upscaler.pairs import SOFTENINGS, Pairs, PairSettings


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """Everything that decides the network's training, besides its shape and its pairs."""

    samples: int = 26_000
    batch: int = 8
    crop: int = 32
    """The side of a crop of the small image of a pair, in pixels."""
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


def learn(
    config: UpscalerConfig,
    training: Pairs,
    validation: Pairs,
    settings: LearningSettings,
    options: RunOptions,
    preview: Callable[[UpscalerNetwork, int], None],
) -> UpscalerNetwork:
    """Returns the averaged network after all steps; continues from the checkpoint if it exists.

    `preview` gets the averaged network and the number of steps after each validation.
    """
    torch.manual_seed(settings.seed)
    network, device = UpscalerNetwork(config), options.device
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    loop = TrainingLoop(network, _loop_settings(settings), options)
    filled = fill_all(training)

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([settings.seed, step])
        small, large = batch(training, filled, settings, rng)
        return picture_loss(network(small.to(device)), large.to(device))

    def evaluate(step: int) -> str:
        measured = validation_loss(loop.average, validation, device)
        preview(loop.average, step)
        return ", ".join(f"{softening} {value:.4f}" for softening, value in measured.items())

    return loop.run(loss, evaluate).eval()


def _loop_settings(settings: LearningSettings) -> LoopSettings:
    return LoopSettings(
        samples=settings.samples,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warm_up=settings.warm_up,
        ema=settings.ema,
        evaluate_every=settings.evaluate_every,
    )


def fill_all(pairs: Pairs) -> Tensor:
    """Returns all small images as network input, [n, softenings, 4, 64, 64]; 0.26 MB per pair."""
    return torch.stack([fill_transparent(to_unit(softened)) for softened in pairs.small])


def batch(
    pairs: Pairs, filled: Tensor, settings: LearningSettings, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Returns crops of pairs, rotated and mirrored: filled small ones and straight large ones.

    `filled` is what `fill_all` returns for these pairs.
    """
    side = settings.crop
    shares = np.array(settings.way_shares) / sum(settings.way_shares)
    chosen = rng.integers(len(pairs), size=settings.batch)
    softenings = rng.choice(len(SOFTENINGS), p=shares, size=settings.batch)
    images = filled[chosen, softenings]
    corners = rng.integers(images.shape[-1] - side + 1, size=(settings.batch, 2))
    small, large = [], []
    for index, (y, x) in enumerate(corners):
        small.append(images[index, :, y : y + side, x : x + side])
        large.append(_crop(pairs.large[chosen[index]], y * SCALE, x * SCALE, side * SCALE))
    rotated = _rotated(torch.stack(small), torch.stack(large), rng)
    if rng.random() < settings.other_colours:
        channels = [*rng.permutation(3).tolist(), 3]
        return rotated[0][:, channels], rotated[1][:, channels]
    return rotated


def _crop(pixels: Pixels, y: int, x: int, side: int) -> Tensor:
    return to_unit(pixels[None, y : y + side, x : x + side])[0]


def _rotated(small: Tensor, large: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Returns both in one of the eight orientations of a square, the same for the whole batch."""
    quarters, mirrored = int(rng.integers(4)), rng.random() < 0.5
    rotated = [torch.rot90(images, quarters, (2, 3)) for images in (small, large)]
    a, b = (images.flip(3) if mirrored else images for images in rotated)
    return a, b


def picture_loss(output: Tensor, true: Tensor) -> Tensor:
    """Returns the distance of the network's output from the drawing.

    It is taken over black, over white, and at edges. Values outside 0 to 1 count a little too;
    otherwise they would have no gradient.
    """
    clamped = output.clamp(0, 1)
    a, b = _composites(clamped), _composites(true)
    edges = sum(F.l1_loss(a.diff(dim=d), b.diff(dim=d)) for d in (2, 3))
    visible = (true[:, 3:] > 0).float()
    straight = F.l1_loss(output[:, :3] * visible, true[:, :3] * visible)
    outside = F.l1_loss(output, clamped.detach())
    return F.l1_loss(a, b) * 2 + F.mse_loss(a, b) * 4 + edges + straight * 0.1 + outside * 0.1


def _composites(images: Tensor) -> Tensor:
    """Returns colour over black, colour over white, and alpha."""
    colour = images[:, :3] * images[:, 3:]
    return torch.cat([colour, colour + 1 - images[:, 3:], images[:, 3:]], dim=1)


@torch.no_grad()
def validation_loss(
    network: UpscalerNetwork, validation: Pairs, device: torch.device
) -> dict[str, float]:
    """Returns the mean loss over whole images, for each of `SOFTENINGS`."""
    errors = {}
    for softening, name in enumerate(SOFTENINGS):
        losses = []
        for index in range(len(validation)):
            part = slice(index, index + 1)
            small = fill_transparent(to_unit(validation.small[part, softening])).to(device)
            true = to_unit(validation.large[part]).to(device)
            losses.append(float(picture_loss(network(small), true)))
        errors[name] = float(np.mean(losses))
    return errors


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
