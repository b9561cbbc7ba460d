"""Trains the network that tells good images from images with defects."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from app.check.networks import COMPOSED, CRISP, FINISHED, AppearanceNetwork
from app.check.planes import Pixels
from jobs.train.defects.pixels import Defect
from jobs.train.looks.pictures import DEFECTS, TINTS, PicturePool, PictureSettings, apply_defects
from jobs.train.loop import LoopSettings, RunOptions, TrainingLoop
from jobs.train.starter.classifier import to_classifier_input
from jobs.train.starter.data import Drawings
from jobs.train.starter.drawings import COLOURS, STYLES, Label

_IGNORED = -1
"""A target that the loss ignores."""
_NO_COLOUR = np.full(len(COLOURS), _IGNORED, np.float64)
_POSITIVE = 0.99
"""The target for a good image; below 1 so that the logits do not grow without limit."""
Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """Everything that decides the weights of the network, besides the images."""

    steps: int = 1_300
    good: int = 30
    """Good images in a step."""
    painted_share: float = 0.5
    """Share of the good images that the starter rendered; the others are drawn."""
    spoilt: int = 5
    """Defective images in a step per output; twice as many unfinished ones, the hardest to tell."""
    learning_rate: float = 2e-3
    seed: int = 11


@dataclass(slots=True)
class _Batch:
    """Images with the targets of each output of the network."""

    pixels: list[Pixels] = field(default_factory=list)
    styles: list[int] = field(default_factory=list)
    others: list[NDArray[np.float32]] = field(default_factory=list)
    """Targets of the colours, then of FINISHED, CRISP and COMPOSED."""

    def add(
        self, pixels: Pixels, style: int, targets: dict[int, float], colours: NDArray[np.float64]
    ) -> None:
        """Adds one image with its targets.

        `targets` maps output positions of the network (FINISHED, CRISP, COMPOSED) to targets;
        `colours` has one target for each colour.
        """
        row = np.full(len(COLOURS) + 3, _IGNORED, np.float32)
        row[: len(COLOURS)] = colours
        for position, target in targets.items():
            row[len(COLOURS) + position - FINISHED] = target
        self.pixels.append(pixels)
        self.styles.append(style)
        self.others.append(row)


def learn(pool: PicturePool, settings: LearningSettings, options: RunOptions) -> AppearanceNetwork:
    """Returns the network after all steps; the same pool and settings give the same weights."""
    torch.manual_seed(settings.seed)
    network = AppearanceNetwork(len(STYLES), len(COLOURS)).to(options.device).train()

    def loss(step: int) -> Tensor:
        batch = _batch(pool, settings, np.random.default_rng([settings.seed, step]))
        return _loss(network, batch, options.device)

    loop_settings = LoopSettings(
        samples=settings.steps,
        batch=1,
        learning_rate=settings.learning_rate,
        weight_decay=0.05,
    )
    return TrainingLoop(network, loop_settings, options).run(loss).eval()


def _loss(network: AppearanceNetwork, batch: _Batch, device: torch.device) -> Tensor:
    """Returns the cross-entropy over styles plus that over every other target of the batch."""
    style_logits, *other_logits = network(to_classifier_input(np.stack(batch.pixels)).to(device))
    target = torch.from_numpy(np.stack(batch.others)).to(device)
    counted = target != _IGNORED
    losses = F.binary_cross_entropy_with_logits(
        torch.cat(other_logits, dim=1), target.clamp(0), reduction="none"
    )
    styles = torch.tensor(batch.styles, device=device)
    style_loss = F.cross_entropy(style_logits, styles, ignore_index=_IGNORED, label_smoothing=0.02)
    # the last three outputs weigh as much as the ten colours together
    return (
        style_loss
        + losses[:, :-3][counted[:, :-3]].mean() * 3
        + sum(losses[:, column][counted[:, column]].mean() for column in (-3, -2, -1))
    )


def _batch(pool: PicturePool, settings: LearningSettings, rng: Rng) -> _Batch:
    batch = _Batch()
    for _ in range(settings.good):
        source = pool.painted if rng.random() < settings.painted_share else pool.drawn
        pixels, label = _random_image(source, rng)
        colours = np.where(np.array(list(COLOURS)) == label.colour, _POSITIVE, 0)
        targets = {FINISHED: _POSITIVE, CRISP: _POSITIVE, COMPOSED: _POSITIVE}
        batch.add(_shifted(pixels, rng), STYLES.index(label.style), targets, colours)
    for _ in range(settings.spoilt):
        for _ in range(2):
            unfinished = pool.unfinished[int(rng.integers(len(pool.unfinished)))]
            pixels = _shifted(_random_image(unfinished, rng)[0], rng)
            batch.add(pixels, _IGNORED, {FINISHED: 0}, _NO_COLOUR)
        _add_recoloured(batch, pool, rng)
        for position, defects in DEFECTS.items():
            _add_defective(batch, position, defects, pool, rng)
    return batch


def _add_defective(
    batch: _Batch, position: int, defects: tuple[Defect, ...], pool: PicturePool, rng: Rng
) -> None:
    pixels, label = _random_image(_random_source(pool, rng), rng)
    result = apply_defects(pixels, defects, label, rng)
    if result is not None:
        batch.add(result, _IGNORED, {position: 0}, _NO_COLOUR)


def _add_recoloured(batch: _Batch, pool: PicturePool, rng: Rng) -> None:
    """Adds a recoloured image: a negative for its own colour.

    The other colours are ignored, because it is unknown which of them it now shows.
    """
    pixels, label = _random_image(_random_source(pool, rng), rng)
    result = apply_defects(pixels, TINTS, label, rng)
    if result is not None:
        colours = np.where(np.array(list(COLOURS)) == label.colour, 0, _IGNORED)
        batch.add(result, _IGNORED, {}, colours)


def _random_source(pool: PicturePool, rng: Rng) -> Drawings:
    return pool.painted if rng.random() < 0.5 else pool.drawn


def _random_image(drawings: Drawings, rng: Rng) -> tuple[Pixels, Label]:
    index = int(rng.integers(len(drawings)))
    return drawings.pixels[index], drawings.label(index)


def _shifted(pixels: Pixels, rng: Rng) -> Pixels:
    """Returns the pixels shifted by at most one pixel, which is no defect of composition.

    Shifts are whole pixels, so that bands and blocks stay sharp.
    """
    return np.roll(pixels, rng.integers(-1, 2, 2), axis=(0, 1))


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of every stage."""

    pictures: PictureSettings = field(default_factory=PictureSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)
    figures: int = 80
    """Held-out drawings that each defect is applied to for the card."""

    @classmethod
    def tiny(cls) -> Self:
        """Returns a recipe whose stages take a few seconds, for tests; the scores mean nothing."""
        return cls(
            pictures=PictureSettings(drawn=24, painted=2, held_out_drawn=8, held_out_painted=2),
            learning=LearningSettings(steps=3, good=4, spoilt=2),
            figures=4,
        )
