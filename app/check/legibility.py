"""Legibility: the text that an OCR reader finds in an image without knowing the request.

The reader is PP-OCRv6 (small) through RapidOCR, whose wheel holds the weights. It reads Latin
letters with their accents, digits, Chinese and Japanese; it misreads other scripts.
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
"""The background of a transparent image: both black and white text stand out from it."""
_SETTINGS = {
    "Global.use_cls": False,  # upside-down text is an error and must not be turned
    "Global.log_level": "error",
    # The default enlarges wide images until their short side has 736 px, and reads worse.
    "Det.limit_type": "max",
    "Det.limit_side_len": 736,
    # One thread: each worker is given one core.
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}


def read_text(pixels: NDArray[np.uint8]) -> str:
    """Returns the text of an RGBA image [h, w, 4], lines from top to bottom; "" without text.

    The first call in a process loads the reader (about a second); no call uses the network.
    """
    output = cast(RapidOCROutput, _reader()(_on_grey(pixels)))  # with detection and recognition
    if output.boxes is None or output.txts is None:
        return ""
    return "\n".join(" ".join(line) for line in _lines(output.boxes, output.txts))


def cer(expected: str, read: str) -> float:
    """Returns the character error rate: edit distance per expected character.

    Both texts are NFC normalised, and every run of white space counts as one space: line breaks are
    layout, not reading. It exceeds 1 when more was read than expected. Raises ValueError when the
    expected text is empty: the rate is undefined.
    """
    wanted = _normal(expected)
    if not wanted:
        raise ValueError("no text is expected; compare with a text that has letters")
    return Levenshtein.distance(wanted, _normal(read)) / len(wanted)


@cache
def _reader() -> RapidOCR:
    return RapidOCR(params=_SETTINGS)


def _on_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns BGR, the channel order of OpenCV."""
    alpha = pixels[..., 3:] / 255
    seen = np.rint(pixels[..., :3] * alpha + _GREY * (1 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(seen[..., ::-1])


def _lines(boxes: NDArray[np.float32], texts: tuple[str, ...]) -> list[list[str]]:
    """Returns the pieces in lines: centres within half a height of each other share a line."""
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
