"""Paints the prompt instead of imagining it: the honest test double, deterministic and instant."""

from collections.abc import Iterable, Iterator
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from app.engine.rendered import Rendered
from app.types import GenerationRequest


class EchoBackend:
    """A rounded card in a colour of the request's digest, with the prompt's words on it."""

    def generate(self, requests: Iterable[GenerationRequest]) -> Iterator[Rendered]:
        """One card per request, in order; the request alone decides its pixels."""
        return (Rendered(request, paint(request), seconds=0.0) for request in requests)


def paint(request: GenerationRequest) -> NDArray[np.uint8]:
    """The card: uint8 RGBA [height, width, 4], transparent outside its rounded border."""
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
