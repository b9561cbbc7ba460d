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
    """The most memory that an image took beyond what the process used before, in MiB."""


def measure_large(rendered: Sequence[Pixels], upscaler: ImageUpscaler) -> LargeFigures:
    """Enlarges each image [h, w, 4] by polish and by Lanczos, and returns the figures of both."""
    polished: list[Pixels] = []
    enlarged: list[Pixels] = []
    seconds: list[float] = []
    memory: list[float] = []
    for image in rendered:
        size = Size(width=image.shape[1], height=image.shape[0])
        with _measured(seconds, memory):
            large = upscale_to(image, QUICK_SIZE, upscaler)
        polished.append(resize(large, size))
        enlarged.append(resize(lanczos(image, QUICK_SIZE.width // size.width), size))
    return LargeFigures(
        pictures=len(rendered),
        kept={
            "polish, to the draft": likeness(polished, rendered),
            "Lanczos, to the draft": likeness(enlarged, rendered),
            "polish, to Lanczos": likeness(polished, enlarged),
        },
        seconds=float(np.median(seconds)),
        memory_mib=max(memory),
    )


@contextmanager
def _measured(seconds: list[float], memory: list[float]) -> Iterator[None]:
    """Appends the CPU seconds of this thread inside the block, and the rise of memory in MiB."""
    process, ended = psutil.Process(), threading.Event()
    before = most = process.memory_info().rss

    def poll() -> None:
        nonlocal most
        while not ended.wait(_POLL_SECONDS):
            most = max(most, process.memory_info().rss)

    poller = threading.Thread(target=poll)
    poller.start()
    started = time.thread_time()
    try:
        yield
    finally:
        seconds.append(time.thread_time() - started)
        ended.set()
        poller.join()
        memory.append((most - before) / 2**20)
