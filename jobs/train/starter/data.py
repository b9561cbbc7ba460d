"""Sets of drawings: rendered in a few processes, saved with their labels; and contact sheets.

It loads no torch, so that the benches that draw sheets start fast.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.train.starter.drawings import Label, Pixels, all_labels, draw

TRAINING, VALIDATION, CALIBRATION, FRESH, PARTNERS = (n * 10_000_000 for n in range(5))
"""The first seed of each set; no set reaches into the next."""


@dataclass(frozen=True, slots=True)
class Drawings:
    """Drawings, uint8 [n, 64, 64, 4], and for each the index of its label in `all_labels()`."""

    pixels: Pixels
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def label(self, index: int) -> Label:
        """Returns the label of the drawing with this index."""
        return all_labels()[int(self.labels[index])]


def render(count: int, first_seed: int, *, processes: int = 1) -> Drawings:
    """Returns `count` drawings, cycling through the labels.

    The number of processes does not change a byte.
    """
    bounds = np.linspace(0, count, max(processes * 8, 1) + 1).astype(int)
    jobs = [(int(a), int(b), first_seed) for a, b in pairwise(bounds)]
    if processes == 1:
        pieces = [_render_range(job) for job in jobs]
    else:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            pieces = list(pool.map(_render_range, jobs))
    labels = np.arange(count, dtype=np.int64) % len(all_labels())
    return Drawings(np.concatenate(pieces), labels)


def save(drawings: Drawings, path: Path) -> None:
    """Writes a set as one uncompressed .npz file."""
    with path.open("wb") as file:
        np.savez(file, pixels=drawings.pixels, labels=drawings.labels)


def load(path: Path) -> Drawings:
    """Reads a set that `save` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        return Drawings(archive["pixels"], archive["labels"])


def save_sheet(pixels: Pixels, columns: int, path: Path, *, enlarged: int = 1) -> None:
    """Writes straight-alpha images [n, h, w, 4] row by row, on a checkerboard, as one PNG."""
    height, width = pixels.shape[1:3]
    rows = -(-len(pixels) // columns)
    sheet = np.zeros((rows * height, columns * width, 4), dtype=np.float32)
    for index, image in enumerate(pixels):
        y, x = index // columns * height, index % columns * width
        sheet[y : y + height, x : x + width] = image
    alpha = sheet[..., 3:] / 255
    y, x = np.indices(sheet.shape[:2])
    checkerboard = np.where((y // 8 + x // 8) % 2 == 0, 196, 208)[..., None]
    flat = np.round(sheet[..., :3] * alpha + checkerboard * (1 - alpha)).astype(np.uint8)
    size = (sheet.shape[1] * enlarged, sheet.shape[0] * enlarged)
    Image.fromarray(flat).resize(size, Image.Resampling.NEAREST).save(path, optimize=True)


def _render_range(job: tuple[int, int, int]) -> Pixels:
    start, stop, first_seed = job
    cv2.setNumThreads(1)
    labels = all_labels()
    pixels = [draw(labels[i % len(labels)], first_seed + i) for i in range(start, stop)]
    return np.stack(pixels) if pixels else np.empty((0, 64, 64, 4), dtype=np.uint8)
