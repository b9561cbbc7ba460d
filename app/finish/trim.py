"""The trim rectangle of a cutout, and its pivot when the frame changes size."""

import cv2
import numpy as np
import numpy.typing as npt

from app.types import Pivot, Rect, Size


def trim_rectangle(pixels: npt.NDArray[np.uint8]) -> Rect:
    """The smallest rectangle that holds every pixel of the RGBA [h, w, 4] with alpha > 0.

    An image with none gets its top left pixel: engines divide by a frame's size, so a frame
    without area would reach them as NaN.
    """
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(pixels[..., 3]))
    return Rect(x=x, y=y, width=max(1, width), height=max(1, height))


def pivot_in(pivot: Pivot, box: Rect, target: Size) -> Pivot:
    """The pivot of a frame that was fitted into this box of the target, as a share of the target.

    It names the same point of the drawing in every size; without bars it is the same share.
    """
    return Pivot(
        x=_share(pivot.x, box.x, box.width, target.width),
        y=_share(pivot.y, box.y, box.height, target.height),
    )


def _share(share: float, start: int, length: int, whole: int) -> float:
    return share if length == whole else (start + share * length) / whole
