"""TexturePacker's JSON hash: the atlas metadata that PixiJS and Phaser read."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from app.digest import canonical_json
from app.errors import InvalidRequest
from app.pack.atlas import Page
from app.types import Pivot, Placement, Rect, Size

Length = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    """A part of the format. Keys that we do not write (animations, borders) are ignored."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class _Size(_Part):
    w: Length
    h: Length


class _Rect(_Size):
    x: Length
    y: Length


class _Frame(_Part):
    frame: _Rect
    rotated: bool
    trimmed: bool
    sprite_source_size: _Rect
    source_size: _Size
    pivot: Pivot
    anchor: Pivot
    """The same point under two keys: Phaser reads the pivot, PixiJS the anchor."""


class _Meta(_Part):
    model_config = ConfigDict(alias_generator=None)

    app: str = "atelier"
    version: str = "1.0"
    image: str
    format: str = "RGBA8888"
    size: _Size
    scale: str
    related_multi_packs: tuple[str, ...] = ()


class _Sheet(_Part):
    frames: dict[str, _Frame]
    meta: _Meta


def texturepacker_json(
    page: Page, *, image: str, scale: float = 1.0, related: Sequence[str] = ()
) -> bytes:
    """Returns the page's metadata as canonical JSON; the same page gives the same bytes.

    `image` is the page's file, relative to this file, `related` the metadata files of the other
    pages, `scale` the resolution of the sprites: at 2 an engine shows them at half their pixel
    size.
    """
    height, width = page.pixels.shape[:2]
    sheet = _Sheet(
        frames={placement.name: _frame(placement) for placement in page.placements},
        meta=_Meta(
            image=image,
            size=_Size(w=width, h=height),
            scale=f"{scale:g}",
            related_multi_packs=tuple(related),
        ),
    )
    return canonical_json(sheet.model_dump(mode="json", by_alias=True))


def read_texturepacker(data: bytes) -> tuple[Placement, ...]:
    """Returns the placements in a TexturePacker JSON hash, in file order.

    Raises InvalidRequest when it is not one, or holds rotated frames, which we never write.
    """
    try:
        frames = _Sheet.model_validate_json(data).frames
        placements = tuple(_placement(name, frame) for name, frame in frames.items())
    except ValidationError as error:
        raise InvalidRequest(
            f"this is not a TexturePacker JSON hash: {error.errors()[0]['msg']} at "
            f"{'.'.join(map(str, error.errors()[0]['loc']))}; export it in that format"
        ) from error
    rotated = [name for name, frame in frames.items() if frame.rotated]
    if rotated:
        raise InvalidRequest(f"the frame {rotated[0]} is rotated; export without rotation")
    return placements


def _frame(placement: Placement) -> _Frame:
    trim, source = _rect(placement.trim), placement.source
    whole = _Rect(x=0, y=0, w=source.width, h=source.height)
    return _Frame(
        frame=_rect(placement.frame),
        rotated=False,
        trimmed=trim != whole,
        sprite_source_size=trim,
        source_size=_Size(w=source.width, h=source.height),
        pivot=placement.pivot,
        anchor=placement.pivot,
    )


def _placement(name: str, frame: _Frame) -> Placement:
    return Placement(
        name=name,
        frame=_our_rect(frame.frame),
        trim=_our_rect(frame.sprite_source_size),
        source=Size(width=frame.source_size.w, height=frame.source_size.h),
        pivot=frame.pivot,
    )


def _rect(rect: Rect) -> _Rect:
    return _Rect(x=rect.x, y=rect.y, w=rect.width, h=rect.height)


def _our_rect(rect: _Rect) -> Rect:
    return Rect(x=rect.x, y=rect.y, width=rect.w, height=rect.h)
