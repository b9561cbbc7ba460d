"""Everything that turns requests into images, behind one protocol: one outcome per request."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from app.engine.results import FailedRequest, RenderedImage
from app.types import GenerationRequest


class Backend(Protocol):
    """Renders requests; yields one outcome for each, in any order. Failures are per request."""

    def generate(
        self, requests: Iterable[GenerationRequest]
    ) -> Iterator[RenderedImage | FailedRequest]:
        """Yields the outcome of each request. Safe to repeat: equal requests give equal pixels."""
