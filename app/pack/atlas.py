"""Packs sprites onto atlas pages and extracts them again without losing a byte."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from app.digest import digest_bytes
from app.errors import InvalidRequest
from app.pack.layout import Box, Layout, lay_out
from app.types import Pivot, Placement, Rect, Size


@dataclass(frozen=True, slots=True)
class Sprite:
    """A finished image to be packed: RGBA pixels [h, w, 4] of the untrimmed frame."""

    name: str
    pixels: npt.NDArray[np.uint8]
    trim: Rect
    pivot: Pivot

    @property
    def trimmed(self) -> npt.NDArray[np.uint8]:
        """Returns the pixels inside the trim rectangle."""
        return self.pixels[_area(self.trim)]


@dataclass(frozen=True, slots=True)
class Page:
    """One atlas page: RGBA pixels [height, width, 4] and its placements, sorted by name."""

    name: str
    pixels: npt.NDArray[np.uint8]
    placements: tuple[Placement, ...]


def pack(
    sprites: Iterable[Sprite],
    *,
    name: str,
    max_page_size: int = 2048,
    padding: int = 2,
    extrude: int = 1,
    power_of_two: bool = True,
) -> tuple[Page, ...]:
    """Returns the pages `{name}-0`, `{name}-1` ...; the order of the sprites does not matter.

    The same sprites give the same bytes. Each sprite is trimmed, surrounded by `extrude` pixels
    that repeat its edge, and placed at least `padding` clear pixels from the next. Sprites with the
    same trimmed pixels share one frame. Raises InvalidRequest for a sprite that fits on no page, a
    duplicate name, a trim rectangle that would lose pixels, or impossible settings.
    """
    _check_settings(max_page_size, padding, extrude)
    max_side = 1 << max_page_size.bit_length() - 1 if power_of_two else max_page_size
    groups = _by_pixels(_checked(sprites, max_side, extrude))
    boxes = [
        Box(key, first.trim.width + 2 * extrude, first.trim.height + 2 * extrude)
        for key, (first, *_) in groups.items()
    ]
    layouts = lay_out(boxes, max_side=max_side, gap=padding, power_of_two=power_of_two)
    return tuple(
        _page(f"{name}-{index}", layout, groups, extrude) for index, layout in enumerate(layouts)
    )


def extract_sprite(
    page_pixels: npt.NDArray[np.uint8], placement: Placement
) -> npt.NDArray[np.uint8]:
    """Returns the sprite's untrimmed frame [h, w, 4], identical to the packed one.

    Raises InvalidRequest when the placement does not lie on this page.
    """
    frame, trim = placement.frame, placement.trim
    sprite = np.zeros((placement.source.height, placement.source.width, 4), np.uint8)
    pixels, wanted = page_pixels[_area(frame)], sprite[_area(trim)]
    if not pixels.shape == wanted.shape == (frame.height, frame.width, 4):
        raise InvalidRequest(
            f"{placement.name} is at {_text(frame)}, which is not on this page of "
            f"{page_pixels.shape[1]}x{page_pixels.shape[0]}; take the page its metadata names"
        )
    wanted[:] = pixels
    return sprite


def _check_settings(max_page_size: int, padding: int, extrude: int) -> None:
    if padding < 0 or extrude < 0:
        raise InvalidRequest(
            f"padding {padding} and extrude {extrude} are pixels; give 0 or more for each"
        )
    try:
        Size(width=max_page_size, height=max_page_size)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise InvalidRequest(
            f"max_page_size {max_page_size} is not a valid page side: {reason}; give another"
        ) from error


def _checked(sprites: Iterable[Sprite], max_side: int, extrude: int) -> list[Sprite]:
    """Returns the sprites sorted by name, after checking that each fits and loses nothing."""
    ordered = sorted(sprites, key=lambda sprite: sprite.name)
    for before, sprite in pairwise(ordered):
        if before.name == sprite.name:
            raise InvalidRequest(f"two sprites are named {sprite.name}; give each its own name")
    for sprite in ordered:
        _check_trim(sprite)
        _check_fits(sprite, max_side, extrude)
    return ordered


def _check_trim(sprite: Sprite) -> None:
    trim, height, width = sprite.trim, *sprite.pixels.shape[:2]
    inside = trim.x + trim.width <= width and trim.y + trim.height <= height
    if not inside or not trim.width * trim.height:
        raise InvalidRequest(
            f"the trim rectangle {_text(trim)} of {sprite.name} is not a part of its "
            f"{width}x{height} frame; give one with an area inside it"
        )
    if np.count_nonzero(sprite.pixels) > np.count_nonzero(sprite.trimmed):
        raise InvalidRequest(
            f"{sprite.name} has bytes other than 0 outside its trim rectangle {_text(trim)}; "
            "an atlas would lose them: clear them or widen the rectangle"
        )


def _check_fits(sprite: Sprite, max_side: int, extrude: int) -> None:
    width, height = sprite.trim.width + 2 * extrude, sprite.trim.height + 2 * extrude
    if max(width, height) > max_side:
        raise InvalidRequest(
            f"{sprite.name} needs {width}x{height} with its extruded edge, a page has at most "
            f"{max_side}x{max_side}; give a smaller target size or a larger max_page_size"
        )


def _by_pixels(sprites: Sequence[Sprite]) -> dict[str, list[Sprite]]:
    """Groups sprites that may share a frame, by the name of the first of them."""
    firsts: dict[tuple[int, int, str], str] = {}
    groups: dict[str, list[Sprite]] = {}
    for sprite in sprites:
        size = sprite.trim.width, sprite.trim.height
        first = firsts.setdefault((*size, digest_bytes(sprite.trimmed.tobytes())), sprite.name)
        groups.setdefault(first, []).append(sprite)
    return groups


def _page(name: str, layout: Layout, groups: dict[str, list[Sprite]], extrude: int) -> Page:
    pixels = np.zeros((layout.size.height, layout.size.width, 4), np.uint8)
    placements = []
    for key, (x, y) in layout.corners.items():
        extruded = np.pad(groups[key][0].trimmed, ((extrude,) * 2, (extrude,) * 2, (0, 0)), "edge")
        pixels[y : y + extruded.shape[0], x : x + extruded.shape[1]] = extruded
        placements += [_placement(sprite, x + extrude, y + extrude) for sprite in groups[key]]
    return Page(name, pixels, tuple(sorted(placements, key=lambda placement: placement.name)))


def _placement(sprite: Sprite, x: int, y: int) -> Placement:
    height, width = sprite.pixels.shape[:2]
    return Placement(
        name=sprite.name,
        frame=Rect(x=x, y=y, width=sprite.trim.width, height=sprite.trim.height),
        trim=sprite.trim,
        source=Size(width=width, height=height),
        pivot=sprite.pivot,
    )


def _area(rect: Rect) -> tuple[slice, slice]:
    return slice(rect.y, rect.y + rect.height), slice(rect.x, rect.x + rect.width)


def _text(rect: Rect) -> str:
    return f"{rect.width}x{rect.height}+{rect.x}+{rect.y}"
