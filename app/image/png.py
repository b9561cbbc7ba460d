"""PNG in and out: one deterministic encoder, and one decoder with limits for untrusted bytes.

`png_bytes` and `read_png` take and give 8-bit RGBA only (W3C PNG, third edition); nothing is
converted silently. Only runs are compressed (zlib's Z_RLE): generated images have few other
repetitions. A full search takes two to four times as long and saves at most 3 % of the bytes.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from app.errors import BadImage

Pixels = npt.NDArray[np.uint8]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGBA_8_BIT = (8, 6)
_MODES = (0, 2, 3, 4, 6)
_ADVICE = "; give one whole 8-bit RGBA PNG"


def png_bytes(pixels: Pixels, *, text: Mapping[str, str]) -> bytes:
    """Returns the file for RGBA pixels [height, width, 4] and its text chunks (iTXt, UTF-8).

    The same input gives the same bytes with the same Pillow. Raises ValueError for another shape or
    type of array.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8:
        raise ValueError(f"pixels are {pixels.dtype}{list(pixels.shape)}; give uint8 [h, w, 4]")
    chunks = PngInfo()
    for keyword in sorted(text):
        chunks.add_itxt(keyword, text[keyword])
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", pnginfo=chunks, compress_type=zlib.Z_RLE)
    return file.getvalue()


def read_png(data: bytes, *, max_pixels: int = 4096 * 4096) -> Pixels:
    """Returns the RGBA pixels [height, width, 4] of one complete, still 8-bit RGBA PNG.

    Safe on untrusted bytes: the size is checked in the header before anything is decompressed,
    every chunk's checksum is verified, and nothing may follow the end. Raises BadImage with a fixed
    sentence: a decoder's own messages may contain memory addresses.
    """
    _check_header(data)
    return _decoded(data, max_pixels=max_pixels)


def read_any_png(data: bytes, *, max_pixels: int = 4096 * 4096) -> Pixels:
    """Returns the RGBA pixels of any 8-bit PNG: grey, colour or palette, with or without alpha.

    As safe as `read_png`, which takes only what `png_bytes` wrote; raises BadImage.
    """
    if len(data) < 33 or data[:8] != SIGNATURE or data[12:16] != b"IHDR":
        raise BadImage("the file is not a PNG; give one PNG of 8 bits a channel")
    depth, colour = data[24], data[25]
    if depth != 8 or colour not in _MODES:
        raise BadImage(f"the PNG has bit depth {depth} and colour type {colour}; give 8 bits")
    return _decoded(data, max_pixels=max_pixels)


def _decoded(data: bytes, *, max_pixels: int) -> Pixels:
    width, height = struct.unpack(">II", data[16:24])
    if not 0 < width * height <= max_pixels:
        raise BadImage(f"the PNG is {width}x{height}; give 1 to {max_pixels} pixels")
    kinds = list(_chunk_kinds(data))
    whole = kinds[-1] == b"IEND" and [kinds.count(k) for k in (b"IHDR", b"IEND")] == [1, 1]
    if not whole or b"acTL" in kinds:
        raise BadImage("the PNG is truncated, animated or followed by other bytes" + _ADVICE)
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            rgba = image if image.mode == "RGBA" else image.convert("RGBA")  # makes a copy
            pixels: Pixels = np.array(rgba)
    except Exception as exc:  # Pillow documents no closed set of errors.
        raise BadImage("the PNG cannot be decoded" + _ADVICE) from exc
    return pixels


def _check_header(data: bytes) -> None:
    if data[:8] != SIGNATURE or data[12:16] != b"IHDR" or len(data) < 33:
        raise BadImage("the file is not a PNG" + _ADVICE)
    depth, colour = data[24], data[25]
    if (depth, colour) != _RGBA_8_BIT:
        raise BadImage(f"the PNG has bit depth {depth} and colour type {colour}" + _ADVICE)


def _chunk_kinds(data: bytes) -> Iterator[bytes]:
    position = len(SIGNATURE)
    while position < len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8].ljust(8, b"\0"))
        end = position + 12 + length
        checksum = data[end - 4 : end]
        if zlib.crc32(data[position + 4 : end - 4]).to_bytes(4, "big") != checksum:
            raise BadImage("the PNG is truncated or altered" + _ADVICE)
        yield kind
        position = end
