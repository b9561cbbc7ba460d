"""Sprites of any shape for the packing tests, with colour hidden under alpha 0."""

import numpy as np
from hypothesis import strategies as st

from app.pack.atlas import Sprite
from app.types import Pivot, Rect


def sprite(
    name: str,
    *,
    frame: tuple[int, int] = (64, 64),
    trim: tuple[int, int, int, int] = (0, 0, 64, 64),
    pivot: Pivot | None = None,
    seed: int = 0,
) -> Sprite:
    """A frame (width, height) whose trim rectangle (x, y, width, height) is noise."""
    x, y, width, height = trim
    pixels = np.zeros((frame[1], frame[0], 4), np.uint8)
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    pixels[y : y + height, x : x + width] = noise
    pixels[y : y + height : 3, x : x + width, 3] = 0
    rect = Rect(x=x, y=y, width=width, height=height)
    return Sprite(name, pixels, rect, pivot or Pivot())


# Few sizes and few seeds: ties and sprites with the same pixels are common.
_SIDES = st.sampled_from([1, 4, 9, 14])


@st.composite
def _sprites(draw: st.DrawFn, name: str) -> Sprite:
    width, height = draw(_SIDES), draw(_SIDES)
    x, y = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    return sprite(
        name,
        frame=(x + width + draw(st.integers(0, 3)), y + height + draw(st.integers(0, 3))),
        trim=(x, y, width, height),
        pivot=Pivot(x=draw(st.floats(0, 1)), y=draw(st.floats(0, 1))),
        seed=draw(st.integers(0, 1)),
    )


def sprite_lists() -> st.SearchStrategy[list[Sprite]]:
    """Up to 24 sprites with names of their own; some share their pixels."""
    counts = st.integers(0, 24)
    return counts.flatmap(lambda count: st.tuples(*[_sprites(f"s-{i}") for i in range(count)])).map(
        list
    )
