"""Files beside a plan: reads files by paths relative to the plan's folder, none outside it."""

import os
from pathlib import Path
from stat import S_ISREG


class UnusableFile(Exception):
    """What is wrong with a file that a plan names, and the remedy."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def read_plan_file(file: str, folder: Path, *, most: int, what: str, example: str) -> bytes:
    """Returns the file's bytes, at most `most`; opens nothing outside the folder, even by links.

    Raises UnusableFile, whose remedy says what the file should be, with the example path.
    """
    beside = f"put it into the plan's folder and write its path from there: {example}"
    try:
        path = _inside(file, folder.resolve(), beside)
        with open(path, "rb", opener=_descriptor) as opened:
            if not S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise UnusableFile("is not a file", f"write the path of {what}")
            data = opened.read(most + 1)
    except FileNotFoundError as error:
        message = "does not exist; the path begins in the plan's folder"
        raise UnusableFile(message, f"correct the path, or {beside}") from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UnusableFile(f"cannot be read: {reason}", beside) from error
    if len(data) > most:
        raise UnusableFile(f"is larger than {_size(most)}", "make it smaller")
    return data


def _size(most: int) -> str:
    return f"{most >> 20} MiB" if most >= 1 << 20 else f"{most >> 10} KiB"


def _inside(file: str, folder: Path, beside: str) -> Path:
    """Returns the file's path with links resolved; raises UnusableFile when it is elsewhere."""
    parts = Path(file)
    if parts.is_absolute() or ".." in parts.parts or "\\" in file:
        raise UnusableFile("is not a path below the plan's folder", beside)
    path = Path(os.path.realpath(folder / parts, strict=True))
    if not path.is_relative_to(folder):
        raise UnusableFile("is a link that leaves the plan's folder", beside)
    return path


def _descriptor(path: str, flags: int) -> int:
    """Opens without following links, which were resolved before, or blocking on a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
