"""The images that the appearance model learns from: drawn, rendered and unfinished."""

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
_BATCH = 16


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """Numbers of images, and which worlds of the training part they use."""

    drawn: int = 2_400
    painted: int = 240
    """Finished images of the starter, and as many again for each of `FEW_STEPS`."""
    held_out_drawn: int = 960
    held_out_painted: int = 120
    """For the card's figures only; nothing is trained on them."""
    world: int = 40
    held_out_world: int = 41


@dataclass(frozen=True, slots=True)
class PicturePool:
    """The sets of images, each uint8 [n, 64, 64, 4] with its labels."""

    drawn: Drawings
    painted: Drawings
    unfinished: tuple[Drawings, ...]
    """Images of the starter after too few steps, in the order of `FEW_STEPS`."""


def make_pool(folder: Path, world: int, *, drawn_count: int, painted_count: int) -> None:
    """Draws and renders one world's images and writes them into the folder."""
    world_seeds = seeds(WorldPart.TRAINING, world)
    save(_labelled([drawn(seed) for seed in world_seeds[:drawn_count]]), folder / "drawn.npz")
    render = StarterRenderer().render
    renders = {"painted": partial(render, steps=STEPS)} | {
        f"hasty-{steps}": partial(render, steps=steps, guidance=1.0) for steps in FEW_STEPS
    }
    for name, render_batch in renders.items():
        batches = [
            world_seeds[start : min(start + _BATCH, painted_count)]
            for start in range(0, painted_count, _BATCH)
        ]
        images = [image for batch in batches for image in render_batch(batch)]
        save(_labelled(images), folder / f"{name}.npz")


def load_pool(folder: Path) -> PicturePool:
    """Reads the images that `make_pool` wrote."""
    return PicturePool(
        load(folder / "drawn.npz"),
        load(folder / "painted.npz"),
        tuple(load(folder / f"hasty-{steps}.npz") for steps in FEW_STEPS),
    )


def _labelled(images: Sequence[GoodImage]) -> Drawings:
    indices = {label: index for index, label in enumerate(all_labels())}
    labels = np.array([indices[label_of(image.seed)] for image in images], dtype=np.int64)
    return Drawings(np.stack([image.pixels for image in images]), labels)


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
    pixels: Pixels, defects: tuple[Defect, ...], label: Label, rng: Rng
) -> Pixels | None:
    """Returns the image with one random defect of `defects` at a random severity.

    Returns None if the defect would not be visible.
    """
    defect = defects[int(rng.integers(len(defects)))]
    severity = int(rng.choice(_SEVERITIES, p=_SHARES))
    return defect(pixels, severity, rng) if is_visible(defect, label) else None


def is_visible(defect: Defect, label: Label) -> bool:
    """Returns whether a defect shows on a label's drawings: see `jobs.train.defects.registry`."""
    if defect is pixels.banding:
        return label.style == "shaded"
    return defect is not pixels.palette_drift or label.colour not in ("white", "black")
