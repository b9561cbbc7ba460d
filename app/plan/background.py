"""Background: a person's own picture that text is set over, found beside the plan's file.

A plan names it by a path from its own folder; what is made is named by the digest of its bytes.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from app.digest import digest_bytes
from app.errors import BadImage, InvalidRequest
from app.plan.files import UnusableFile, read_plan_file
from app.types.base import Value

MAX_BYTES = 64 << 20
"""Of the file: as much as the pixels of the largest picture that is decoded take."""
_LONGEST = 200


class Background(Value):
    """The picture, by its path as it was written; the rest is filled in by reading the plan."""

    file: Annotated[str, Field(min_length=1, max_length=_LONGEST)]
    digest: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    """The sha256 of the file's bytes."""
    folder: str = Field("", exclude=True)
    """Where the plan's file stands, on the machine that read it; never recorded."""


def with_digest(background: Background, folder: Path) -> Background:
    """The same with the digest of its bytes, which are one whole PNG of 8 bits a channel.

    Nothing outside the folder is opened, whatever the path says or links to. Raises Unusable.
    """
    if background.digest or background.folder:
        message = "says more than a path; the digest is filled in when the plan is read"
        raise UnusableFile(message, f"write background: {background.file}")
    data = _bytes(background.file, folder)
    _require_png(data)
    return background.replace(digest=digest_bytes(data), folder=str(folder.absolute()))


def background_bytes(background: Background) -> bytes:
    """The bytes that the digest names, from the file; raises InvalidRequest when they changed."""
    try:
        data = _bytes(background.file, Path(background.folder))
    except UnusableFile as error:
        raise InvalidRequest(
            f"background {background.file} {error.message}; {error.remedy}"
        ) from error
    if digest_bytes(data) != background.digest:
        raise InvalidRequest(
            f"background {background.file} is not the picture that was checked; run the plan again"
        )
    return data


def _bytes(file: str, folder: Path) -> bytes:
    return read_plan_file(file, folder, most=MAX_BYTES, what="a PNG", example="pictures/sky.png")


def _require_png(data: bytes) -> None:
    from app.image.png import read_any_png

    try:
        read_any_png(data)
    except BadImage as error:
        message, _, remedy = str(error).partition("; ")
        raise UnusableFile(f"cannot be used: {message}", remedy) from error
