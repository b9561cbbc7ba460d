"""Background: a user's own image that text is set over, read from beside the plan file.

A plan names it by a path relative to its own folder; results name it by the digest of its bytes.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from app.digest import digest_bytes
from app.errors import BadImage, InvalidRequest
from app.plan.files import UnusableFile, read_plan_file
from app.types.base import Value

MAX_BYTES = 64 << 20
"""The maximum file size: the size of the pixels of the largest image that is decoded."""
_LONGEST = 200


class Background(Value):
    """The image, by its path as written; the other fields are filled in when the plan is read."""

    file: Annotated[str, Field(min_length=1, max_length=_LONGEST)]
    digest: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    """The sha256 of the file's bytes."""
    folder: str = Field("", exclude=True)
    """The folder of the plan file on the machine that read it; never recorded."""


def with_digest(background: Background, folder: Path) -> Background:
    """Returns the background with the digest of its file, which must be a PNG of 8 bits a channel.

    Opens nothing outside the folder, whatever the path or links say. Raises UnusableFile.
    """
    if background.digest or background.folder:
        message = "has keys besides the path; the digest is filled in when the plan is read"
        raise UnusableFile(message, f"write background: {background.file}")
    data = _bytes(background.file, folder)
    _require_png(data)
    return background.replace(digest=digest_bytes(data), folder=str(folder.absolute()))


def background_bytes(background: Background) -> bytes:
    """Returns the file's bytes; raises InvalidRequest when they no longer match the digest."""
    try:
        data = _bytes(background.file, Path(background.folder))
    except UnusableFile as error:
        raise InvalidRequest(
            f"background {background.file} {error.message}; {error.remedy}"
        ) from error
    if digest_bytes(data) != background.digest:
        raise InvalidRequest(
            f"background {background.file} has changed since the plan was read; run the plan again"
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
