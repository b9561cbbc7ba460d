"""The trim rectangle of a cutout, and the pivot of a resized frame."""

import cv2
import numpy as np
import numpy.typing as npt

from app.types import Pivot, Rect, Size


def trim_rectangle(pixels: npt.NDArray[np.uint8]) -> Rect:
    """Returns the smallest rectangle that holds every pixel of the RGBA [h, w, 4] with alpha > 0.

    A fully transparent image gets its top left pixel: engines divide by a frame's size, so a frame
    without area would become NaN there.
    """
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(pixels[..., 3]))
    return Rect(x=x, y=y, width=max(1, width), height=max(1, height))


def pivot_in(pivot: Pivot, box: Rect, target: Size) -> Pivot:
    """Returns the pivot of a frame fitted into this box of the target, as a share of the target.

    It marks the same point of the image at every size; without bars it is the same share.
    """
    return Pivot(
        x=_share(pivot.x, box.x, box.width, target.width),
        y=_share(pivot.y, box.y, box.height, target.height),
    )


def _share(share: float, start: int, length: int, whole: int) -> float:
    return share if length == whole else (start + share * length) / whole
