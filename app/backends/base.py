"""The Backend protocol: requests in, one outcome for each out."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from app.engine.results import FailedRequest, RenderedImage
from app.types import GenerationRequest


class Backend(Protocol):
    """One outcome for every request, in any order; a request that fails fails alone."""

    def generate(
        self, requests: Iterable[GenerationRequest]
    ) -> Iterator[RenderedImage | FailedRequest]:
        """Render the requests; safe to repeat: the same request gives the same pixels."""
