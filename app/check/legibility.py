"""Legibility: the text that a reader who knows nothing of the request finds in a picture.

The reader is PP-OCRv6 (small) by way of RapidOCR, whose wheel holds the weights: it reads Latin
letters with their accents, digits, Chinese and Japanese; other scripts it reads as something else.
"""

import unicodedata
from functools import cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from rapidocr import RapidOCR
from rapidocr.utils.output import RapidOCROutput

_GREY = 128
"""What lies behind a transparent picture: black and white text both stand out from it."""
_SETTINGS = {
    "Global.use_cls": False,  # upside down is wrong, not to be turned
    "Global.log_level": "error",
    # The default enlarges wide pictures until their short side has 736 px, and reads worse.
    "Det.limit_type": "max",
    "Det.limit_side_len": 736,
    # As many threads as workers: each worker is given one core.
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}


def read_text(pixels: NDArray[np.uint8]) -> str:
    """The text of an RGBA picture [h, w, 4], its lines from top to bottom; "" where there is none.

    The first call of a process loads the reader (about a second); none needs a network.
    """
    output = cast(RapidOCROutput, _reader()(_on_grey(pixels)))  # it finds, then reads: no less
    if output.boxes is None or output.txts is None:
        return ""
    return "\n".join(" ".join(line) for line in _lines(output.boxes, output.txts))


def cer(expected: str, read: str) -> float:
    """The character error rate: edits from one to the other for each expected character.

    Both are composed (NFC), and every run of white space is one space: where lines break is
    layout, not reading. It exceeds 1 when more was read than written. ValueError when nothing
    is expected: there is no rate of nothing.
    """
    wanted = _normal(expected)
    if not wanted:
        raise ValueError("no text is expected; compare with a text that has letters")
    return Levenshtein.distance(wanted, _normal(read)) / len(wanted)


@cache
def _reader() -> RapidOCR:
    return RapidOCR(params=_SETTINGS)


def _on_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """BGR, as OpenCV's readers take it."""
    alpha = pixels[..., 3:] / 255
    seen = np.rint(pixels[..., :3] * alpha + _GREY * (1 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(seen[..., ::-1])


def _lines(boxes: NDArray[np.float32], texts: tuple[str, ...]) -> list[list[str]]:
    """Pieces whose middles lie within half a height of each other stand on one line."""
    middles, heights = boxes[..., 1].mean(axis=1), np.ptp(boxes[..., 1], axis=1)
    lines: list[list[int]] = []
    for piece in np.argsort(middles, kind="stable").tolist():
        last = lines[-1][-1] if lines else None
        if last is not None and middles[piece] - middles[last] < heights[last] / 2:
            lines[-1].append(piece)
        else:
            lines.append([piece])
    lefts = boxes[..., 0].min(axis=1)
    return [[texts[piece] for piece in sorted(line, key=lefts.item)] for line in lines]


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())
