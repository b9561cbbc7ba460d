"""Measures the starter's images at 2048 pixels: likeness to the draft, time and memory."""

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
    """Figures of images enlarged to 2048 x 2048, and reduced again as finishing does it."""

    pictures: int
    kept: dict[str, Likeness]
    """The likeness of pairs of images at the size the starter renders: means over images."""
    seconds: float
    """CPU seconds for one image; the median."""
    memory_mib: float
    """The most memory that an image took beyond what the process had before, in MiB."""


def measure_large(painted: Sequence[Pixels], enlarger: ImageUpscaler) -> LargeFigures:
    """Enlarges each image [h, w, 4] by polish and by Lanczos, and returns the figures of both."""
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
    """Appends the CPU seconds of this thread inside the block, and the rise of memory in MiB."""
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
