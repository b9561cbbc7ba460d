"""Defecting for the looks: the defect world's own injectors on training pictures, by question."""

import numpy as np

from app.check.looks_network import COMPOSED, CRISP
from app.check.planes import Pixels
from jobs.train.defects import pixels as looks
from jobs.train.defects.pixels import Defect
from jobs.train.starter.drawings import Label

Rng = np.random.Generator

_SEVERITIES, _SHARES = (1, 2, 3), (0.3, 0.4, 0.3)
MARKS: tuple[Defect, ...] = (
    looks.banding, looks.jpeg_blocks, looks.jpeg_blocks, looks.colour_blotches, looks.noise,
    looks.blur,
)  # fmt: skip
COMPOSITIONS: tuple[Defect, ...] = (
    looks.cut_through, looks.cut_off, looks.off_centre, looks.too_small, looks.too_large,
)  # fmt: skip
TINTS: tuple[Defect, ...] = (looks.palette_drift, looks.palette_drift, looks.washed_out)
SPOILING = {CRISP: MARKS, COMPOSED: COMPOSITIONS}


def spoilt(pixels: Pixels, spoils: tuple[Defect, ...], label: Label, rng: Rng) -> Pixels | None:
    """The picture with one of the defects at some severity; None where it would not show."""
    spoil = spoils[int(rng.integers(len(spoils)))]
    severity = int(rng.choice(_SEVERITIES, p=_SHARES))
    return spoil(pixels, severity, rng) if shows(spoil, label) else None


def shows(spoil: Defect, label: Label) -> bool:
    """Whether a defect can be seen on what a label draws: see `jobs.train.defects.registry`."""
    if spoil is looks.banding:
        return label.style == "shaded"
    return spoil is not looks.palette_drift or label.colour not in ("white", "black")
