"""Contact sheets: images in rows and columns on a checkerboard background."""

from pathlib import Path

import numpy as np
from PIL import Image

from jobs.train.starter.drawings import Pixels


def save_sheet(pixels: Pixels, columns: int, path: Path, *, enlarged: int = 1) -> None:
    """Writes straight-alpha images [n, h, w, 4] as one PNG, row by row."""
    height, width = pixels.shape[1:3]
    rows = -(-len(pixels) // columns)
    sheet = np.zeros((rows * height, columns * width, 4), dtype=np.float32)
    for index, picture in enumerate(pixels):
        y, x = index // columns * height, index % columns * width
        sheet[y : y + height, x : x + width] = picture
    alpha = sheet[..., 3:] / 255
    y, x = np.indices(sheet.shape[:2])
    ground = np.where((y // 8 + x // 8) % 2 == 0, 196, 208)[..., None]
    flat = np.round(sheet[..., :3] * alpha + ground * (1 - alpha)).astype(np.uint8)
    image = Image.fromarray(flat)
    size = (image.width * enlarged, image.height * enlarged)
    image.resize(size, Image.Resampling.NEAREST).save(path, optimize=True)
