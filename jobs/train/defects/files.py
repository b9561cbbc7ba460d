"""Defects of files: each takes the pixels of a good picture and gives bytes that are none."""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

from app.check.planes import Pixels
from app.image.png import png_bytes

Rng = np.random.Generator


def truncated_file(pixels: Pixels, severity: int, _: Rng) -> bytes:
    """The end is missing: a twentieth, two fifths, or all but a tenth."""
    data = png_bytes(pixels, text={})
    return data[: int(len(data) * (0.95, 0.6, 0.1)[severity - 1])]


def corrupt_file(pixels: Pixels, severity: int, rng: Rng) -> bytes:
    """One bit, one byte, or a hundred bytes are others."""
    data = bytearray(png_bytes(pixels, text={}))
    for _ in range((1, 1, 100)[severity - 1]):
        change = 1 << int(rng.integers(8)) if severity == 1 else int(rng.integers(1, 256))
        data[int(rng.integers(33, len(data)))] ^= change
    return bytes(data)


def wrong_format(pixels: Pixels, severity: int, _: Rng) -> bytes:
    """A WebP, a GIF, or a JPEG in the place of a PNG."""
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    name = ("WEBP", "GIF", "JPEG")[severity - 1]
    (image.convert("RGB") if name == "JPEG" else image).save(file, name)
    return file.getvalue()


def wrong_mode(pixels: Pixels, severity: int, _: Rng) -> bytes:
    """A PNG without alpha, with a palette, or in grey."""
    file = io.BytesIO()
    Image.fromarray(pixels).convert(("RGB", "P", "L")[severity - 1]).save(file, "PNG")
    return file.getvalue()


def wrong_depth(pixels: Pixels, severity: int, _: Rng) -> bytes:
    """A PNG of 16 bits a channel, of 4 bits, or of one."""
    if severity == 1:
        return bytes(cv2.imencode(".png", pixels[..., [2, 1, 0, 3]].astype(np.uint16) * 257)[1])
    file = io.BytesIO()
    image = Image.fromarray(pixels).convert("RGB")
    small = image.quantize(16) if severity == 2 else image.convert("1")
    small.save(file, "PNG", **({"bits": 4} if severity == 2 else {}))
    return file.getvalue()


def wrong_colour_space(pixels: Pixels, severity: int, _: Rng) -> bytes:
    """The file says that its numbers are of another gamma, of other primaries, or of a profile."""
    if severity == 3:
        return _with_chunk(pixels, b"iCCP", b"other\0\0" + zlib.compress(bytes(128)))
    if severity == 2:
        wide = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)  # Display P3
        return _with_chunk(pixels, b"cHRM", struct.pack(">8I", *wide))
    return _with_chunk(pixels, b"gAMA", struct.pack(">I", 100_000))


def wrong_size(pixels: Pixels, severity: int, _: Rng) -> bytes:
    """A pixel too large, an eighth too large, or half as large; the shape stays."""
    side = pixels.shape[0]
    other = (side + 1, side + side // 8, side // 2)[severity - 1]
    return _resized(pixels, other, other)


def wrong_aspect(pixels: Pixels, severity: int, _: Rng) -> bytes:
    """Stretched: a pixel wider, a quarter wider, twice as wide."""
    side = pixels.shape[0]
    return _resized(pixels, (side + 1, side + side // 4, 2 * side)[severity - 1], side)


def _resized(pixels: Pixels, width: int, height: int) -> bytes:
    resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return png_bytes(np.asarray(resized, np.uint8), text={})


def _with_chunk(pixels: Pixels, kind: bytes, body: bytes) -> bytes:
    """The picture's file with one chunk more, right behind the header."""
    data = png_bytes(pixels, text={})
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data[:33] + chunk + data[33:]
