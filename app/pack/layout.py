"""Rectangles onto pages: the smallest page that holds them all, or as many full ones as it takes.

It knows sizes and keys, no pixels. Rectangles are never rotated.
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
    """A rectangle to be placed; its key breaks ties, so the order of the input never does."""

    key: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A page and where each of its boxes stands."""

    size: Size
    corners: Corners


@dataclass(frozen=True, slots=True)
class _Heuristic:
    """A way to fill one page: an algorithm of rectpack and the order in which it is fed."""

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
"""Tried in this order; the first that fits wins.

Measured: rows by height are best for icons of one size class (93 % of the page where the
others reach 88 %), MaxRects for mixed sizes. Its time grows with the cube of the count, so
it is spent on small pages alone. Source: J. Jylanki, A Thousand Ways to Pack the Bin, 2010.
"""


def lay_out(
    boxes: Sequence[Box], *, max_side: int, gap: int, power_of_two: bool
) -> tuple[Layout, ...]:
    """Every box on a page, at least `gap` pixels from the next; the last page is the smallest.

    No page is larger than max_side x max_side, which every box must fit into. With
    power_of_two both sides of every page are powers of two, and max_side has to be one;
    without, every page ends where its boxes do.
    """
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
    # By the long side first: the same area in a strip serves texture caches and mip levels less.
    pages.sort(key=lambda page: (max(page.width, page.height), page.height, page.width))
    return next((layout for page in pages if (layout := _fits_one_page(boxes, page, gap))), None)


def _smallest_square(boxes: Sequence[Box], max_side: int, gap: int) -> Layout | None:
    pages = [Size(width=side, height=side) for side in range(1, max_side + 1)]
    index = bisect_left(pages, True, key=lambda page: _fits_one_page(boxes, page, gap) is not None)
    return _fits_one_page(boxes, pages[index], gap) if index < len(pages) else None


def _cropped(layout: Layout, boxes: Sequence[Box]) -> Layout:
    """The same layout on a page that ends where its boxes do."""
    corners = layout.corners
    placed = [box for box in boxes if box.key in corners]
    width = max(corners[box.key][0] + box.width for box in placed)
    height = max(corners[box.key][1] + box.height for box in placed)
    return Layout(Size(width=width, height=height), corners)


def _fits_one_page(boxes: Sequence[Box], page: Size, gap: int) -> Layout | None:
    """All boxes on this one page, or None."""
    area = sum((box.width + gap) * (box.height + gap) for box in boxes)
    if area > (page.width + gap) * (page.height + gap):
        return None
    layouts = (Layout(page, corners) for corners in _fills(boxes, page, gap))
    return next((layout for layout in layouts if len(layout.corners) == len(boxes)), None)


def _fullest_page(boxes: Sequence[Box], max_side: int, gap: int) -> Layout:
    """A page of the largest size with as much on it as any heuristic brings there."""
    page = Size(width=max_side, height=max_side)
    areas = {box.key: box.width * box.height for box in boxes}
    fills = _fills(boxes, page, gap)
    return Layout(page, max(fills, key=lambda corners: sum(areas[key] for key in corners)))


def _fills(boxes: Sequence[Box], page: Size, gap: int) -> Iterator[Corners]:
    for heuristic in _HEURISTICS:
        if len(boxes) <= heuristic.max_boxes:
            yield _fill(heuristic, boxes, page, gap)


def _fill(heuristic: _Heuristic, boxes: Sequence[Box], page: Size, gap: int) -> Corners:
    """What this heuristic brings onto the page.

    Every box carries its gap at the right and the bottom, and the page is larger by one gap,
    so that gaps lie between boxes and none along the edge.
    """
    surface = heuristic.algorithm(page.width + gap, page.height + gap, rot=False)
    corners: Corners = {}
    refused: set[tuple[int, int]] = set()
    for box in sorted(boxes, key=heuristic.order):
        size = box.width + gap, box.height + gap
        spot = None if size in refused else surface.add_rect(*size)
        if spot is None:
            # Not tried again: freed space is rarely merged into more, and a page that is full
            # would otherwise be searched for every one of the thousands that are left.
            refused.add(size)
        else:
            corners[box.key] = spot.x, spot.y
    return corners
