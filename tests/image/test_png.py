"""The PNG codec: pixels come back bit for bit, and nothing damaged, hostile or other comes in."""

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from app.errors import BadImage
from app.image.png import png_bytes, read_png

PIXELS: npt.NDArray[np.uint8] = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)
WHOLE = png_bytes(PIXELS, text={"origin": "a test"})
SIGNATURE, END = WHOLE[:8], WHOLE[-12:]


def chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def header(width: int, height: int, *, depth: int = 8, colour: int = 6) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def saved(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4))
TEXTS = st.dictionaries(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50),
    max_size=3,
)


@given(pixels=arrays(np.uint8, SHAPES), text=TEXTS)
def test_pixels_and_text_come_back_and_the_same_image_is_the_same_bytes(
    pixels: npt.NDArray[np.uint8], text: dict[str, str]
) -> None:
    data = png_bytes(pixels, text=text)
    shuffled = dict(reversed(text.items()))
    assert data == png_bytes(pixels.copy(), text=shuffled)
    assert (read_png(data) == pixels).all()
    with Image.open(io.BytesIO(data)) as image:
        assert isinstance(image, PngImageFile)
        assert image.text == text


@given(length=st.integers(0, len(WHOLE) - 1))
def test_a_truncated_file_is_refused_wherever_it_ends(length: int) -> None:
    with pytest.raises(BadImage):
        read_png(WHOLE[:length])


@given(position=st.integers(0, len(WHOLE) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_wherever_it_is(position: int, bit: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[position] ^= 1 << bit
    with pytest.raises(BadImage):
        read_png(bytes(damaged))


@given(junk=st.binary(max_size=400))
def test_any_other_bytes_are_refused_and_nothing_else_is_raised(junk: bytes) -> None:
    for data in (junk, SIGNATURE + junk, SIGNATURE + header(3, 5) + junk, WHOLE + b"\0" + junk):
        with pytest.raises(BadImage):
            read_png(data)


MANY = zlib.compress(bytes(64 * 2**20))
ATTACKS = {
    "a bomb by its header": SIGNATURE + header(30_000, 30_000) + chunk(b"IDAT", MANY) + END,
    "no pixels": SIGNATURE + header(0, 5) + chunk(b"IDAT", MANY) + END,
    "a second header with a bomb": SIGNATURE + header(3, 5) + header(9000, 9000) + WHOLE[33:],
    "a text bomb": WHOLE[:33] + chunk(b"zTXt", b"k\0\0" + MANY) + WHOLE[33:],
    "an international text bomb": WHOLE[:33] + chunk(b"iTXt", b"k\0\1\0\0\0" + MANY) + WHOLE[33:],
    "a profile bomb": WHOLE[:33] + chunk(b"iCCP", b"k\0\0" + MANY) + WHOLE[33:],
    "too few pixels": SIGNATURE + header(3, 5) + chunk(b"IDAT", zlib.compress(b"\0" * 20)) + END,
    "no pixel data": SIGNATURE + header(3, 5) + END,
    "two files in one": WHOLE + WHOLE,
    "a chunk after the end": WHOLE + chunk(b"tEXt", b"k\0v"),
    "a page after the end": WHOLE + b"<script>",
    "a JPEG named PNG": saved(Image.new("RGB", (3, 5)), "JPEG"),
    "a GIF named PNG": saved(Image.new("P", (3, 5)), "GIF"),
    "no alpha": saved(Image.new("RGB", (3, 5))),
    "a palette": saved(Image.new("P", (3, 5))),
    "16 bits": SIGNATURE + header(3, 5, depth=16) + WHOLE[33:],
    "a moving picture": saved(
        Image.new("RGBA", (3, 5)),
        save_all=True,
        append_images=[Image.new("RGBA", (3, 5), "red")],
    ),
    "nothing": b"",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused(attack: str) -> None:
    with pytest.raises(BadImage) as refusal:
        read_png(ATTACKS[attack])
    assert " at 0x" not in str(refusal.value)


def test_the_limit_is_the_callers() -> None:
    assert read_png(WHOLE, max_pixels=15).shape == (5, 3, 4)
    with pytest.raises(BadImage, match="3x5"):
        read_png(WHOLE, max_pixels=14)


@pytest.mark.parametrize(
    "pixels", [np.zeros((5, 3, 3), np.uint8), np.zeros((5, 3), np.uint8), np.zeros((5, 3, 4))]
)
def test_only_rgba_bytes_are_written(pixels: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="give uint8"):
        png_bytes(pixels, text={})
