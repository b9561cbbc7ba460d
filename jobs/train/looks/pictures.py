"""The images that the appearance model learns from: drawn, rendered and unfinished ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from app.check.networks import COMPOSED, CRISP
from app.check.planes import Pixels
from jobs.train.defects import pixels
from jobs.train.defects.pixels import Defect
from jobs.train.defects.sources import (
    STEPS,
    GoodImage,
    StarterRenderer,
    WorldPart,
    drawn,
    label_of,
    seeds,
)
from jobs.train.starter.data import Drawings, load, save
from jobs.train.starter.drawings import Label, all_labels

FEW_STEPS = (1, 2, 3)
"""Numbers of steps after which the starter, without guidance, has not finished."""
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """How many images of each sort there are, and which worlds of the training part they use."""

    drawn: int = 2_400
    painted: int = 240
    """The starter's finished images, and as many again for each of `FEW_STEPS`."""
    held_out_drawn: int = 960
    held_out_painted: int = 120
    """For the card's figures only; nothing is trained on them."""
    world: int = 40
    held_out_world: int = 41


@dataclass(frozen=True, slots=True)
class PicturePool:
    """The images by sort, each set uint8 [n, 64, 64, 4] with its labels."""

    drawn: Drawings
    painted: Drawings
    hasty: tuple[Drawings, ...]
    """By the number of steps, in the order of `FEW_STEPS`."""


def make_pool(folder: Path, world: int, *, drawn_count: int, painted_count: int) -> None:
    """Draws and renders one world's images and writes them into the folder."""
    numbers = seeds(WorldPart.TRAINING, world)
    save(_gathered([drawn(seed) for seed in numbers[:drawn_count]]), folder / "drawn.npz")
    renderer = StarterRenderer()
    ways = {"painted": partial(renderer.render, steps=STEPS)} | {
        f"hasty-{steps}": partial(renderer.render, steps=steps, guidance=1.0) for steps in FEW_STEPS
    }
    for name, paint in ways.items():
        some = numbers[:painted_count]
        pieces = [some[at : at + _AT_ONCE] for at in range(0, len(some), _AT_ONCE)]
        made = [good for piece in pieces for good in paint(piece)]
        save(_gathered(made), folder / f"{name}.npz")


def load_pool(folder: Path) -> PicturePool:
    """Reads what `make_pool` wrote."""
    return PicturePool(
        load(folder / "drawn.npz"),
        load(folder / "painted.npz"),
        tuple(load(folder / f"hasty-{steps}.npz") for steps in FEW_STEPS),
    )


def _gathered(goods: Sequence[GoodImage]) -> Drawings:
    place = {label: index for index, label in enumerate(all_labels())}
    labels = np.array([place[label_of(good.seed)] for good in goods], dtype=np.int64)
    return Drawings(np.stack([good.pixels for good in goods]), labels)


Rng = np.random.Generator

_SEVERITIES, _SHARES = (1, 2, 3), (0.3, 0.4, 0.3)
MARKS: tuple[Defect, ...] = (
    pixels.banding, pixels.jpeg_blocks, pixels.jpeg_blocks, pixels.colour_blotches, pixels.noise,
    pixels.blur,
)  # fmt: skip
COMPOSITIONS: tuple[Defect, ...] = (
    pixels.cut_through, pixels.cut_off, pixels.off_centre, pixels.too_small, pixels.too_large,
)  # fmt: skip
TINTS: tuple[Defect, ...] = (pixels.palette_drift, pixels.palette_drift, pixels.washed_out)
DEFECTS = {CRISP: MARKS, COMPOSED: COMPOSITIONS}


def apply_defects(
    pixels: Pixels, spoils: tuple[Defect, ...], label: Label, rng: Rng
) -> Pixels | None:
    """Returns the image with a random one of the defects at a random severity.

    Returns None where the defect would not be visible.
    """
    spoil = spoils[int(rng.integers(len(spoils)))]
    severity = int(rng.choice(_SEVERITIES, p=_SHARES))
    return spoil(pixels, severity, rng) if is_visible(spoil, label) else None


def is_visible(spoil: Defect, label: Label) -> bool:
    """Returns whether a defect shows on a label's drawings: see `jobs.train.defects.registry`."""
    if spoil is pixels.banding:
        return label.style == "shaded"
    return spoil is not pixels.palette_drift or label.colour not in ("white", "black")
