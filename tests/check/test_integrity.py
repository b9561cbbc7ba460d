"""A file is read as it is: whole, of the right kind and of the size asked for, or not."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.check.integrity import decode_or_none, integrity, is_srgb
from app.image.png import png_bytes
from app.types import Measure
from tests.check import sample_drawings

WHOLE = png_bytes(sample_drawings.filled((200, 40, 40, 255)), text={})
REFUSED = {Measure.DECODES: 0.0, Measure.SIZE_ERROR: 128.0}


def test_a_whole_file_of_the_size_asked_for_is_perfect() -> None:
    scores = integrity(decode_or_none(WHOLE), width=64, height=64)
    assert scores == {Measure.DECODES: 1.0, Measure.SIZE_ERROR: 0.0}


def test_the_size_comes_from_the_file_and_both_sides_count() -> None:
    scores = integrity(decode_or_none(WHOLE), width=60, height=70)
    assert scores == {Measure.DECODES: 1.0, Measure.SIZE_ERROR: 10.0}


@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_torn_anywhere_does_not_decode(length: int) -> None:
    assert integrity(decode_or_none(WHOLE[:length]), width=64, height=64) == REFUSED


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_anywhere_does_not_decode(position: int, change: int) -> None:
    data = bytearray(WHOLE)
    data[position] ^= change
    assert integrity(decode_or_none(bytes(data)), width=64, height=64) == REFUSED


@given(st.binary(max_size=200))
def test_bytes_that_are_no_picture_are_a_score_and_no_error(data: bytes) -> None:
    assert integrity(decode_or_none(data), width=64, height=64) == REFUSED


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGB"), ("PNG", "P"), ("WEBP", "RGBA")])
def test_another_format_or_pixel_type_is_refused(kind: str, mode: str) -> None:
    file = io.BytesIO()
    Image.new(mode, (64, 64)).save(file, kind)
    assert integrity(decode_or_none(file.getvalue()), width=64, height=64) == REFUSED


def with_chunk(kind: bytes, body: bytes) -> bytes:
    """The whole file with one chunk more behind its header."""
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return WHOLE[:33] + chunk + WHOLE[33:]


SAYS = {
    "nothing": (b"tEXt", b"a\0b", True),
    "sRGB": (b"sRGB", b"\0", True),
    "the gamma of sRGB": (b"gAMA", struct.pack(">I", 45_455), True),
    "linear light": (b"gAMA", struct.pack(">I", 100_000), False),
    "wider primaries": (
        b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000), False,
    ),
    "a profile": (b"iCCP", b"mine\0\0" + zlib.compress(bytes(128)), False),
}  # fmt: skip


@pytest.mark.parametrize("says", SAYS)
def test_numbers_in_another_colour_space_are_not_the_picture_that_was_asked_for(says: str) -> None:
    kind, body, ours = SAYS[says]
    data = with_chunk(kind, body)
    assert is_srgb(data) is ours
    assert (decode_or_none(data) is not None) is ours
