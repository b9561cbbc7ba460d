"""What the starter's pictures are at 2048 pixels: still the draft, and at what price?"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import psutil

from app.image.resize import resize
from app.models.polish import QUICK_SIZE, ImageUpscaler, upscale_to
from app.types import Size, Value
from jobs.train.starter.drawings import Pixels
from jobs.train.upscaler.baselines import lanczos
from jobs.train.upscaler.likeness import Likeness, likeness

_POLL_SECONDS = 0.005


class LargeFigures(Value):
    """Of pictures that were enlarged to 2048 x 2048, and shrunk back as finishing shrinks."""

    pictures: int
    kept: dict[str, Likeness]
    """How like one picture is to another, at the size it was painted at: means over pictures."""
    seconds: float
    """Of one core, for one picture; the median."""
    memory_mib: float
    """What the largest picture took beyond what the process had before."""


def measure_large(painted: Sequence[Pixels], enlarger: ImageUpscaler) -> LargeFigures:
    """Enlarge each picture [h, w, 4] in both ways, and look at what is left of it."""
    polished: list[Pixels] = []
    plain: list[Pixels] = []
    seconds: list[float] = []
    memory: list[float] = []
    for picture in painted:
        size = Size(width=picture.shape[1], height=picture.shape[0])
        with _measured(seconds, memory):
            large = upscale_to(picture, QUICK_SIZE, enlarger)
        polished.append(resize(large, size))
        plain.append(resize(lanczos(picture, QUICK_SIZE.width // size.width), size))
    return LargeFigures(
        pictures=len(painted),
        kept={
            "polish, to the draft": likeness(polished, painted),
            "Lanczos, to the draft": likeness(plain, painted),
            "polish, to Lanczos": likeness(polished, plain),
        },
        seconds=float(np.median(seconds)),
        memory_mib=max(memory),
    )


@contextmanager
def _measured(seconds: list[float], memory: list[float]) -> Iterator[None]:
    """Note the CPU seconds of this thread inside, and how far memory rose in between, in MiB."""
    own, ended = psutil.Process(), threading.Event()
    before = most = own.memory_info().rss

    def look() -> None:
        nonlocal most
        while not ended.wait(_POLL_SECONDS):
            most = max(most, own.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    started = time.thread_time()
    try:
        yield
    finally:
        seconds.append(time.thread_time() - started)
        ended.set()
        looking.join()
        memory.append((most - before) / 2**20)
