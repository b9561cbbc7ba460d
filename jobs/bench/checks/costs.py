"""The cost of each check by image size, as CPU time of this thread."""

from collections.abc import Callable, Iterator
from statistics import median
from time import thread_time

import cv2
import numpy as np

from app.check.duplicates import fingerprint
from app.check.integrity import decode_or_none
from app.check.measures import MEASURES, measures
from app.check.planes import Pixels, Planes
from app.check.reference_similarity import difference, palette_distance, ssim
from app.check.scores import Critic
from app.image.png import png_bytes
from app.types import Value
from jobs.train.defects.sources import StarterRenderer, drawn

SIDES = (64, 256, 512)
ALL_CHECKS = "all together"
_PAINTED = 8


class CheckCost(Value):
    """One check at one size, alone: the median in milliseconds."""

    check: str
    side: int
    milliseconds: float
    opaque: bool = False
    """For an image without any transparency, where no pixel can be skipped."""


def costs(critic: Critic, *, rounds: int) -> list[CheckCost]:
    """Measures each check alone, and all that every image passes together; text is not read."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return [cost for side in SIDES for cost in _costs_at(side, critic, rounds)]
    finally:
        cv2.setNumThreads(threads)


def painting(renderer: StarterRenderer, numbers: range) -> float:
    """Returns CPU milliseconds per image of the starter on one core; the first is not counted."""
    renderer.render(numbers[:1])
    started = thread_time()
    renderer.render(numbers[1 : 1 + _PAINTED])
    return 1000 * (thread_time() - started) / _PAINTED


def _costs_at(side: int, critic: Critic, rounds: int) -> Iterator[CheckCost]:
    cutout = np.asarray(cv2.resize(drawn(1).pixels, (side, side), interpolation=cv2.INTER_CUBIC))
    full = cutout.copy()
    full[..., 3] = 255
    for name, check in _checks(cutout, critic).items():
        yield CheckCost(check=name, side=side, milliseconds=_timed(check, rounds))
    for image in (cutout, full):
        milliseconds = _timed(_run_all_checks(image, critic), rounds)
        opaque = image is full
        yield CheckCost(check=ALL_CHECKS, side=side, milliseconds=milliseconds, opaque=opaque)


def _checks(pixels: Pixels, critic: Critic) -> dict[str, Callable[[], object]]:
    data, few = png_bytes(pixels, text={}), pixels[None]
    alone: dict[str, Callable[[], object]] = {"decodes": lambda: decode_or_none(data)}
    for measure, of in MEASURES.items():
        alone[measure] = lambda of=of: of(Planes(pixels))  # type: ignore[misc]  # bound now
    return alone | {
        "agreement": lambda: critic.agreement(few, ["a red sword"]),
        "looks": lambda: critic.appearance(pixels, "a flat red sword"),
        "duplicate_distance": lambda: fingerprint(pixels),
        "likeness": lambda: ssim(pixels, pixels),
        "palette_distance": lambda: palette_distance(pixels, pixels),
        "difference": lambda: difference(pixels, pixels),
    }


def _run_all_checks(pixels: Pixels, critic: Critic) -> Callable[[], object]:
    data, few = png_bytes(pixels, text={}), pixels[None]

    def check() -> None:
        decode_or_none(data)
        measures(pixels)
        fingerprint(pixels)
        critic.agreement(few, ["a red sword"])
        critic.appearance(pixels, "a flat red sword")

    return check


def _timed(work: Callable[[], object], rounds: int) -> float:
    work()
    taken = []
    for _ in range(rounds):
        started = thread_time()
        work()
        taken.append(1000 * (thread_time() - started))
    return median(taken)
