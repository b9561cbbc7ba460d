"""The entries of a contact sheet, and which of very many entries are shown."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.types import Measure, Status

Pixels = NDArray[np.uint8]

THUMBNAIL = 256
"""Pixels of an image's longer side on a sheet; smaller images are kept as they are."""

_FROM_MILD_TO_GRAVE = (Status.ACCEPTED, Status.REVIEW, Status.REJECTED, Status.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetEntry:
    """One asset on the sheet; `image` is the finished image (uint8 RGBA), None without one."""

    name: str
    version: str
    status: Status
    image: Pixels | None
    prompt: str
    scores: Mapping[Measure, float]
    reasons: Sequence[str] = ()
    seconds: float = 0.0
    attempts: int = 1
    reused: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """The entries that are shown, and the number of all entries by status."""

    entries: tuple[SheetEntry, ...]
    counts: Mapping[Status, int]

    @property
    def total(self) -> int:
        """Returns the number of entries, shown or not."""
        return sum(self.counts.values())

    def first(self, limit: int) -> "Selection":
        """Returns the selection with at most `limit` entries, chosen as `select` does."""
        return Selection(_gravest(enumerate(self.entries), limit), self.counts)


def select(entries: Iterable[SheetEntry], *, limit: int) -> Selection:
    """Returns at most `limit` entries in the given order; of more, the most severe are kept.

    Entries are taken one by one and large images are reduced at once, so memory is bounded by the
    limit and not by the number of entries.
    """
    counts: Counter[Status] = Counter()

    def reduced() -> Iterator[tuple[int, SheetEntry]]:
        for index, entry in enumerate(entries):
            counts[entry.status] += 1
            yield index, replace(entry, image=_thumbnail(entry.image))

    return Selection(_gravest(reduced(), limit), counts)


def _gravest(numbered: Iterable[tuple[int, SheetEntry]], limit: int) -> tuple[SheetEntry, ...]:
    def gravity(row: tuple[int, SheetEntry]) -> tuple[int, int]:
        return _FROM_MILD_TO_GRAVE.index(row[1].status), -row[0]

    kept = heapq.nlargest(limit, numbered, key=gravity)
    return tuple(entry for _, entry in sorted(kept, key=lambda row: row[0]))


def _thumbnail(image: Pixels | None) -> Pixels | None:
    """Returns the image within THUMBNAIL pixels; Pillow resamples RGBA premultiplied."""
    if image is None or max(image.shape[:2]) <= THUMBNAIL:
        return image
    small = Image.fromarray(image)
    small.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=None)
    return np.asarray(small)
