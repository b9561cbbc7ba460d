"""Defects of files: each function takes the pixels of a good image and returns a faulty file."""

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
    """Returns a PNG cut off after 95, 60 or 10 % of its bytes, by severity."""
    data = png_bytes(pixels, text={})
    return data[: int(len(data) * (0.95, 0.6, 0.1)[severity - 1])]


def corrupt_file(pixels: Pixels, severity: int, rng: Rng) -> bytes:
    """Returns a PNG with one bit, byte or hundred bytes changed after the header, by severity."""
    data = bytearray(png_bytes(pixels, text={}))
    for _ in range((1, 1, 100)[severity - 1]):
        change = 1 << int(rng.integers(8)) if severity == 1 else int(rng.integers(1, 256))
        data[int(rng.integers(33, len(data)))] ^= change
    return bytes(data)


def wrong_format(pixels: Pixels, severity: int, _: Rng) -> bytes:
    """Returns a WebP, GIF or JPEG file where a PNG is expected, by severity."""
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    name = ("WEBP", "GIF", "JPEG")[severity - 1]
    (image.convert("RGB") if name == "JPEG" else image).save(file, name)
    return file.getvalue()


def wrong_mode(pixels: Pixels, severity: int, _: Rng) -> bytes:
    """Returns a PNG without alpha, with a palette, or in grey, by severity."""
    file = io.BytesIO()
    Image.fromarray(pixels).convert(("RGB", "P", "L")[severity - 1]).save(file, "PNG")
    return file.getvalue()


def wrong_depth(pixels: Pixels, severity: int, _: Rng) -> bytes:
    """Returns a PNG with 16 bits a channel, 4 bits or 1 bit a pixel, by severity."""
    if severity == 1:
        return bytes(cv2.imencode(".png", pixels[..., [2, 1, 0, 3]].astype(np.uint16) * 257)[1])
    file = io.BytesIO()
    image = Image.fromarray(pixels).convert("RGB")
    small = image.quantize(16) if severity == 2 else image.convert("1")
    small.save(file, "PNG", **({"bits": 4} if severity == 2 else {}))
    return file.getvalue()


def wrong_colour_space(pixels: Pixels, severity: int, _: Rng) -> bytes:
    """Returns a PNG that declares another gamma, other primaries or a profile, by severity."""
    if severity == 3:
        return _with_chunk(pixels, b"iCCP", b"other\0\0" + zlib.compress(bytes(128)))
    if severity == 2:
        wide = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)  # Display P3
        return _with_chunk(pixels, b"cHRM", struct.pack(">8I", *wide))
    return _with_chunk(pixels, b"gAMA", struct.pack(">I", 100_000))


def wrong_size(pixels: Pixels, severity: int, _: Rng) -> bytes:
    """Returns a PNG one pixel or an eighth too large, or half as large, by severity.

    The aspect ratio of a square image stays.
    """
    side = pixels.shape[0]
    other = (side + 1, side + side // 8, side // 2)[severity - 1]
    return _resized(pixels, other, other)


def wrong_aspect(pixels: Pixels, severity: int, _: Rng) -> bytes:
    """Returns a PNG stretched to be one pixel, a quarter or twice as wide, by severity."""
    side = pixels.shape[0]
    return _resized(pixels, (side + 1, side + side // 4, 2 * side)[severity - 1], side)


def _resized(pixels: Pixels, width: int, height: int) -> bytes:
    resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return png_bytes(np.asarray(resized, np.uint8), text={})


def _with_chunk(pixels: Pixels, kind: bytes, body: bytes) -> bytes:
    """Returns the image's PNG with one more chunk directly after the header."""
    data = png_bytes(pixels, text={})
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data[:33] + chunk + data[33:]
