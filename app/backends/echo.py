"""A fast, deterministic test double: draws the prompt's words on a card, without a model.

It can log every request, and can be set to be slow, to hang or to kill its process, so that crash
tests can count the requests a paid model would have received.
"""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydantic import NonNegativeFloat
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.engine.results import RenderedImage
from app.types import GenerationRequest


class EchoSettings(BaseSettings):
    """Settings of the test double, from `ATELIER_ECHO_...`; by default it answers at once."""

    model_config = SettingsConfigDict(env_prefix="ATELIER_ECHO_", extra="ignore", frozen=True)

    diary: Path | None = None
    """A log file with one line per card: seconds since 1970, and the request's id."""
    seconds: NonNegativeFloat = 0.0
    """Seconds that each card takes."""
    dies_at: str = ""
    """A word of a prompt at which the process kills itself."""
    hangs_at: str = ""
    """A word of a prompt at which the process hangs for ever."""


class EchoBackend:
    """Draws a rounded card in a colour of the request's digest, with the prompt's words on it."""

    def __init__(self, settings: EchoSettings | None = None) -> None:
        self._settings = settings or EchoSettings.model_construct()

    def generate(self, requests: Iterable[GenerationRequest]) -> Iterator[RenderedImage]:
        """Yields one card per request, in order; the request alone decides its pixels."""
        for request in requests:
            self._behave(request)
            yield RenderedImage(request, draw_card(request), seconds=self._settings.seconds)

    def _behave(self, request: GenerationRequest) -> None:
        words, settings = request.prompt.split(), self._settings
        if settings.dies_at in words:
            os.kill(os.getpid(), signal.SIGKILL)
        while settings.hangs_at in words:
            signal.pause()
        if settings.seconds:
            time.sleep(settings.seconds)
        if settings.diary is not None:
            line = f"{time.time():.6f} {request.id}\n".encode()
            with settings.diary.open("ab", buffering=0) as diary:
                diary.write(line)  # one short append: lines of several processes do not mix


def draw_card(request: GenerationRequest) -> NDArray[np.uint8]:
    """Returns the card: uint8 RGBA [height, width, 4], transparent outside its rounded border."""
    shade = sha256(request.id.encode()).digest()
    size = (request.width, request.height)
    margin, radius = max(min(size) // 16, 1), max(min(size) // 8, 1)
    image = Image.new("RGBA", size)
    pen = ImageDraw.Draw(image)
    box = (margin, margin, size[0] - margin - 1, size[1] - margin - 1)
    pen.rounded_rectangle(box, radius, fill=(shade[0], shade[1], shade[2], 255))
    font = ImageFont.load_default(max(min(size) // 7, 8))
    words = "\n".join(request.prompt.split())
    ink = (0, 0, 0, 255) if sum(shade[:3]) > 384 else (255, 255, 255, 255)
    middle = (size[0] / 2, size[1] / 2)
    pen.multiline_text(middle, words, ink, font, anchor="mm", align="center")
    return np.asarray(image)
