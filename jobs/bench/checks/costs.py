"""Costs: what each check takes of one core, by size, as CPU time of this thread."""

from collections.abc import Callable, Iterator
from statistics import median
from time import thread_time

import cv2
import numpy as np

from app.check.duplicates import fingerprint
from app.check.integrity import decoded
from app.check.measures import MEASURES, measures
from app.check.planes import Pixels, Planes
from app.check.reference_similarity import difference, palette_distance, ssim
from app.check.scores import Critic
from app.image.png import png_bytes
from app.types import Value
from jobs.train.defects.sources import Painter, drawn

SIDES = (64, 256, 512)
EVERY = "all together"
_PAINTED = 8


class Cost(Value):
    """One check at one size, alone: the median in milliseconds."""

    check: str
    side: int
    milliseconds: float
    opaque: bool = False
    """Of a picture without any transparency, where nothing can be left out."""


def costs(critic: Critic, *, rounds: int) -> list[Cost]:
    """Each check alone, and all that every picture goes through together; nobody reads text."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return [one for side in SIDES for one in _at(side, critic, rounds)]
    finally:
        cv2.setNumThreads(threads)


def painting(painter: Painter, numbers: range) -> float:
    """Milliseconds that one picture of the starter takes of one core; the first is not counted."""
    painter.paint(numbers[:1])
    started = thread_time()
    painter.paint(numbers[1 : 1 + _PAINTED])
    return 1000 * (thread_time() - started) / _PAINTED


def _at(side: int, critic: Critic, rounds: int) -> Iterator[Cost]:
    cutout = np.asarray(cv2.resize(drawn(1).pixels, (side, side), interpolation=cv2.INTER_CUBIC))
    full = cutout.copy()
    full[..., 3] = 255
    for name, check in _checks(cutout, critic).items():
        yield Cost(check=name, side=side, milliseconds=_timed(check, rounds))
    for picture in (cutout, full):
        milliseconds = _timed(_everything(picture, critic), rounds)
        opaque = picture is full
        yield Cost(check=EVERY, side=side, milliseconds=milliseconds, opaque=opaque)


def _checks(pixels: Pixels, critic: Critic) -> dict[str, Callable[[], object]]:
    data, few = png_bytes(pixels, text={}), pixels[None]
    alone: dict[str, Callable[[], object]] = {"decodes": lambda: decoded(data)}
    for measure, of in MEASURES.items():
        alone[measure] = lambda of=of: of(Planes(pixels))  # type: ignore[misc]  # bound now
    return alone | {
        "agreement": lambda: critic.agreement(few, ["a red sword"]),
        "looks": lambda: critic.looks(pixels, "a flat red sword"),
        "duplicate_distance": lambda: fingerprint(pixels),
        "likeness": lambda: ssim(pixels, pixels),
        "palette_distance": lambda: palette_distance(pixels, pixels),
        "difference": lambda: difference(pixels, pixels),
    }


def _everything(pixels: Pixels, critic: Critic) -> Callable[[], object]:
    data, few = png_bytes(pixels, text={}), pixels[None]

    def check() -> None:
        decoded(data)
        measures(pixels)
        fingerprint(pixels)
        critic.agreement(few, ["a red sword"])
        critic.looks(pixels, "a flat red sword")

    return check


def _timed(work: Callable[[], object], rounds: int) -> float:
    work()
    taken = []
    for _ in range(rounds):
        started = thread_time()
        work()
        taken.append(1000 * (thread_time() - started))
    return median(taken)
