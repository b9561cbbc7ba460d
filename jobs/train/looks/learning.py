"""Trains the network that tells good images from images with defects."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from app.check.networks import COMPOSED, CRISP, FINISHED, AppearanceNetwork
from app.check.planes import Pixels
from jobs.train.defects.pixels import Defect
from jobs.train.looks.pictures import DEFECTS, TINTS, PicturePool, PictureSettings, apply_defects
from jobs.train.starter.classifier import to_classifier_input
from jobs.train.starter.data import Drawings
from jobs.train.starter.drawings import COLOURS, STYLES, Label
from jobs.train.starter.flow_matching import warm_up_then_fall
from jobs.train.starter.stages import ProgressLog

_UNASKED = -1
"""A target that is ignored in the loss."""
_NO_COLOUR = np.full(len(COLOURS), _UNASKED, np.float64)
_SURE = 0.99
"""The target for a good image; below 1 so that the logits do not grow without limit."""
Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """Everything that decides the network's weights, besides the images."""

    steps: int = 1_300
    good: int = 30
    """Good images in a step."""
    painted_share: float = 0.5
    spoilt: int = 5
    """Defective images in a step per question; twice as many unfinished ones, the hardest sort."""
    learning_rate: float = 2e-3
    seed: int = 11


@dataclass(slots=True)
class _Batch:
    """Images with the targets of each question; -1 marks a question that is not asked."""

    pixels: list[Pixels] = field(default_factory=list)
    styles: list[int] = field(default_factory=list)
    rest: list[NDArray[np.float32]] = field(default_factory=list)

    def add(
        self, pixels: Pixels, style: int, answers: dict[int, float], colours: NDArray[np.float64]
    ) -> None:
        """Adds one image with its targets.

        `answers` maps output positions of the network (FINISHED, CRISP, COMPOSED) to targets;
        `colours` has one target for each colour.
        """
        row = np.full(len(COLOURS) + 3, _UNASKED, np.float32)
        row[: len(COLOURS)] = colours
        for place, answer in answers.items():
            row[len(COLOURS) + place - FINISHED] = answer
        self.pixels.append(pixels)
        self.styles.append(style)
        self.rest.append(row)


def learn(
    pool: PicturePool, settings: LearningSettings, device: torch.device, report: ProgressLog
) -> AppearanceNetwork:
    """Returns the network after all steps; the same pool and settings give the same weights."""
    torch.manual_seed(settings.seed)
    network = AppearanceNetwork(len(STYLES), len(COLOURS)).to(device).train()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=0.05, betas=(0.9, 0.99)
    )
    steps = settings.steps
    schedule = warm_up_then_fall(optimizer, steps, warm_up=min(100, steps // 10 + 1))
    for step in range(steps):
        batch = _batch(pool, settings, np.random.default_rng([settings.seed, step]))
        value = _loss(network, batch, device)
        optimizer.zero_grad()
        torch.autograd.backward(value)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        report(step + 1, steps, f"loss {value.item():.4f}")
    return network.eval()


def _loss(network: AppearanceNetwork, batch: _Batch, device: torch.device) -> Tensor:
    """Returns the cross-entropy over styles plus that over every other question that was asked."""
    style, *rest = network(to_classifier_input(np.stack(batch.pixels)).to(device))
    target = torch.from_numpy(np.stack(batch.rest)).to(device)
    asked = target != _UNASKED
    logits = torch.cat(rest, dim=1)
    surprise = F.binary_cross_entropy_with_logits(logits, target.clamp(0), reduction="none")
    styles = torch.tensor(batch.styles, device=device)
    named = F.cross_entropy(style, styles, ignore_index=_UNASKED, label_smoothing=0.02)
    alone = asked[:, -3:]  # these three outputs weigh as much as the ten colours together
    return (
        named
        + surprise[:, :-3][asked[:, :-3]].mean() * 3
        + sum(surprise[:, -3 + place][alone[:, place]].mean() for place in range(3))
    )


def _batch(pool: PicturePool, settings: LearningSettings, rng: Rng) -> _Batch:
    batch = _Batch()
    for _ in range(settings.good):
        source = pool.painted if rng.random() < settings.painted_share else pool.drawn
        pixels, label = _picked(source, rng)
        colours = np.where(np.array(list(COLOURS)) == label.colour, _SURE, 0)
        answers = {FINISHED: _SURE, CRISP: _SURE, COMPOSED: _SURE}
        batch.add(_moved(pixels, rng), STYLES.index(label.style), answers, colours)
    for _ in range(settings.spoilt):
        for _ in range(2):
            hasty = pool.hasty[int(rng.integers(len(pool.hasty)))]
            batch.add(_moved(_picked(hasty, rng)[0], rng), _UNASKED, {FINISHED: 0}, _NO_COLOUR)
        _add_tinted(batch, pool, rng)
        for place, spoils in DEFECTS.items():
            _add_spoilt(batch, place, spoils, pool, rng)
    return batch


def _add_spoilt(
    batch: _Batch, place: int, spoils: tuple[Defect, ...], pool: PicturePool, rng: Rng
) -> None:
    pixels, label = _picked(_any_drawing(pool, rng), rng)
    result = apply_defects(pixels, spoils, label, rng)
    if result is not None:
        batch.add(result, _UNASKED, {place: 0}, _NO_COLOUR)


def _add_tinted(batch: _Batch, pool: PicturePool, rng: Rng) -> None:
    """Adds a recoloured image: a negative for its own colour.

    Other colours are not asked, because it is unknown which one it now shows.
    """
    pixels, label = _picked(_any_drawing(pool, rng), rng)
    result = apply_defects(pixels, TINTS, label, rng)
    if result is not None:
        colours = np.where(np.array(list(COLOURS)) == label.colour, 0, _UNASKED)
        batch.add(result, _UNASKED, {}, colours)


def _any_drawing(pool: PicturePool, rng: Rng) -> Drawings:
    return pool.painted if rng.random() < 0.5 else pool.drawn


def _picked(drawings: Drawings, rng: Rng) -> tuple[Pixels, Label]:
    index = int(rng.integers(len(drawings)))
    return drawings.pixels[index], drawings.label(index)


def _moved(pixels: Pixels, rng: Rng) -> Pixels:
    """Returns the pixels shifted by at most one pixel, which is no defect of composition.

    Whole pixels only, so that marks such as bands and blocks stay sharp.
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
