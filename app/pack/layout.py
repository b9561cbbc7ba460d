"""Places rectangles on the smallest page that holds them all, or on several full pages.

It handles sizes and keys, not pixels. Rectangles are never rotated.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf
from typing import TypeAlias

from rectpack import GuillotineBssfMaxas, GuillotineBssfSas, MaxRectsBssf

from app.types import Size

Corners: TypeAlias = dict[str, tuple[int, int]]
"""The top left corner (x, y) of each box, by its key."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle to be placed; ties are broken by its key, never by input order."""

    key: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A page and the positions of its boxes."""

    size: Size
    corners: Corners


@dataclass(frozen=True, slots=True)
class _Heuristic:
    """A rule for filling one page: an algorithm of rectpack and the order of its input."""

    algorithm: type[GuillotineBssfMaxas | GuillotineBssfSas | MaxRectsBssf]
    order: Callable[[Box], tuple[int, int, str]]
    max_boxes: float = inf


def _by_height(box: Box) -> tuple[int, int, str]:
    return -box.height, -box.width, box.key


def _by_long_side(box: Box) -> tuple[int, int, str]:
    return -max(box.width, box.height), -min(box.width, box.height), box.key


_HEURISTICS = (
    _Heuristic(GuillotineBssfMaxas, _by_height),
    _Heuristic(GuillotineBssfSas, _by_long_side),
    _Heuristic(MaxRectsBssf, _by_long_side, max_boxes=128),
)
"""Tried in this order; the first that fits is used.

Measured: rows by height are best for icons of one size class (93 % of the page where the others
reach 88 %), MaxRects for mixed sizes. MaxRects' time grows with the cube of the count, so it is
used for few boxes only. Source: J. Jylanki, A Thousand Ways to Pack the Bin, 2010.
"""


def lay_out(
    boxes: Sequence[Box], *, max_side: int, gap: int, power_of_two: bool
) -> tuple[Layout, ...]:
    """Returns pages that hold every box, at least `gap` pixels apart; the last is the smallest."""
    smallest = _smallest_power_of_two if power_of_two else _smallest_square
    layouts = []
    while boxes:
        layout = smallest(boxes, max_side, gap) or _fullest_page(boxes, max_side, gap)
        layouts.append(layout if power_of_two else _cropped(layout, boxes))
        boxes = [box for box in boxes if box.key not in layout.corners]
    return tuple(layouts)


def _smallest_power_of_two(boxes: Sequence[Box], max_side: int, gap: int) -> Layout | None:
    sides = [1 << exponent for exponent in range(max_side.bit_length())]
    pages = [Size(width=width, height=height) for width, height in product(sides, sides)]
    # By the long side first: long strips of the same area suit texture caches and mip levels less.
    pages.sort(key=lambda page: (max(page.width, page.height), page.height, page.width))
    return next((layout for page in pages if (layout := _fits_one_page(boxes, page, gap))), None)


def _smallest_square(boxes: Sequence[Box], max_side: int, gap: int) -> Layout | None:
    pages = [Size(width=side, height=side) for side in range(1, max_side + 1)]
    index = bisect_left(pages, True, key=lambda page: _fits_one_page(boxes, page, gap) is not None)
    return _fits_one_page(boxes, pages[index], gap) if index < len(pages) else None


def _cropped(layout: Layout, boxes: Sequence[Box]) -> Layout:
    """Returns the same layout on a page cropped to its boxes."""
    corners = layout.corners
    placed = [box for box in boxes if box.key in corners]
    width = max(corners[box.key][0] + box.width for box in placed)
    height = max(corners[box.key][1] + box.height for box in placed)
    return Layout(Size(width=width, height=height), corners)


def _fits_one_page(boxes: Sequence[Box], page: Size, gap: int) -> Layout | None:
    """Returns a layout of all boxes on this one page, or None."""
    area = sum((box.width + gap) * (box.height + gap) for box in boxes)
    if area > (page.width + gap) * (page.height + gap):
        return None
    layouts = (Layout(page, corners) for corners in _fills(boxes, page, gap))
    return next((layout for layout in layouts if len(layout.corners) == len(boxes)), None)


def _fullest_page(boxes: Sequence[Box], max_side: int, gap: int) -> Layout:
    """Returns the page of the largest size on which a heuristic covers the largest area."""
    page = Size(width=max_side, height=max_side)
    areas = {box.key: box.width * box.height for box in boxes}
    fills = _fills(boxes, page, gap)
    return Layout(page, max(fills, key=lambda corners: sum(areas[key] for key in corners)))


def _fills(boxes: Sequence[Box], page: Size, gap: int) -> Iterator[Corners]:
    for heuristic in _HEURISTICS:
        if len(boxes) <= heuristic.max_boxes:
            yield _fill(heuristic, boxes, page, gap)


def _fill(heuristic: _Heuristic, boxes: Sequence[Box], page: Size, gap: int) -> Corners:
    """Returns the corners of the boxes that this heuristic places on the page.

    Every box carries its gap at the right and the bottom, and the page is larger by one gap, so
    that gaps lie between boxes and none along the edge.
    """
    surface = heuristic.algorithm(page.width + gap, page.height + gap, rot=False)
    corners: Corners = {}
    refused: set[tuple[int, int]] = set()
    for box in sorted(boxes, key=heuristic.order):
        size = box.width + gap, box.height + gap
        spot = None if size in refused else surface.add_rect(*size)
        if spot is None:
            # Not tried again: free space rarely grows, and a full page would otherwise be
            # searched again for each of the thousands of remaining boxes.
            refused.add(size)
        else:
            corners[box.key] = spot.x, spot.y
    return corners
