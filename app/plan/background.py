"""Background: a person's own picture that text is set over, found beside the plan's file.

A plan names it by a path from its own folder; what is made is named by the digest of its bytes.
"""

import os
from pathlib import Path
from stat import S_ISREG
from typing import Annotated

from pydantic import Field, StringConstraints

from app.digest import digest_bytes
from app.errors import BadImage, InvalidRequest
from app.value import Value

MAX_BYTES = 64 << 20
"""Of the file: as much as the pixels of the largest picture that is decoded take."""
_BESIDE = "put it into the plan's folder and write its path from there: pictures/sky.png"
_LONGEST = 200


class Background(Value):
    """The picture, by its path as it was written; the rest is filled in by reading the plan."""

    file: Annotated[str, Field(min_length=1, max_length=_LONGEST)]
    digest: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    """The sha256 of the file's bytes."""
    folder: str = Field("", exclude=True)
    """Where the plan's file stands, on the machine that read it; never recorded."""


class Unusable(Exception):
    """What is wrong with a background, and what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def found(background: Background, folder: Path) -> Background:
    """The same with the digest of its bytes, which are one whole PNG of 8 bits a channel.

    Nothing outside the folder is opened, whatever the path says or links to. Raises Unusable.
    """
    if background.digest or background.folder:
        message = "says more than a path; the digest is filled in when the plan is read"
        raise Unusable(message, f"write background: {background.file}")
    data = _bytes(background.file, folder)
    _require_png(data)
    return background.replace(digest=digest_bytes(data), folder=str(folder.absolute()))


def data_of(background: Background) -> bytes:
    """The bytes that the digest names, from the file; raises InvalidRequest when they changed."""
    try:
        data = _bytes(background.file, Path(background.folder))
    except Unusable as error:
        raise InvalidRequest(
            f"background {background.file} {error.message}; {error.remedy}"
        ) from error
    if digest_bytes(data) != background.digest:
        raise InvalidRequest(
            f"background {background.file} is not the picture that was checked; run the plan again"
        )
    return data


def _bytes(file: str, folder: Path) -> bytes:
    try:
        path = _inside(file, folder.resolve())
        with open(path, "rb", opener=_descriptor) as opened:
            if not S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise Unusable("is no file", "write the path of a PNG")
            data = opened.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        message = "is not there: the path begins in the plan's folder"
        raise Unusable(message, f"correct the path, or {_BESIDE}") from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise Unusable(f"cannot be read: {reason}", _BESIDE) from error
    if len(data) > MAX_BYTES:
        raise Unusable(f"is larger than {MAX_BYTES >> 20} MiB", "save it smaller")
    return data


def _inside(file: str, folder: Path) -> Path:
    """The file itself, links followed; raises Unusable when it stands elsewhere."""
    parts = Path(file)
    if parts.is_absolute() or ".." in parts.parts or "\\" in file:
        raise Unusable("is no path from the plan's folder down", _BESIDE)
    path = Path(os.path.realpath(folder / parts, strict=True))
    if not path.is_relative_to(folder):
        raise Unusable("is a link that leaves the plan's folder", _BESIDE)
    return path


def _descriptor(path: str, flags: int) -> int:
    """Links were followed already, and a pipe that nobody writes to would be waited for."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _require_png(data: bytes) -> None:
    from app.png import read_any_png  # Pillow is loaded for a plan that has a picture alone

    try:
        read_any_png(data)
    except BadImage as error:
        message, _, remedy = str(error).partition("; ")
        raise Unusable(f"cannot be used: {message}", remedy) from error
