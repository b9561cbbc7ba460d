"""Any other diffusers text-to-image pipeline: called as a whole, one request at a time.

It shares no forward passes, so it is slower than the step engine at volume; in exchange it works
with any pipeline class that takes a prompt, a size, steps, guidance and a generator.
"""

from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import Any

import numpy as np
import torch

from app.engine.results import FailedRequest, RenderedImage
from app.errors import EngineError, NotFinite
from app.models.preview import with_alpha
from app.types import EngineSettings, GenerationRequest


class DiffusersBackend:
    """One loaded diffusers pipeline, used unchanged."""

    def __init__(self, stock: Any) -> None:
        self._stock = stock
        stock.set_progress_bar_config(disable=True)

    @property
    def settings(self) -> EngineSettings:
        """Returns how this pipeline computes: unbatched, so no other request changes an image."""
        return EngineSettings(
            mode="whole",
            row_buckets=(1,),
            rounding="stock",
            dtype=str(self._stock.dtype).removeprefix("torch."),
            device=self._stock.device.type,
            attention="native",
            threads=torch.get_num_threads(),
        )

    def generate(
        self, requests: Iterable[GenerationRequest]
    ) -> Iterator[RenderedImage | FailedRequest]:
        """Renders the requests one after the other."""
        return map(self._render, requests)

    def _render(self, request: GenerationRequest) -> RenderedImage | FailedRequest:
        started = perf_counter()
        try:
            unit = self._call(request)
        except (ValueError, TypeError) as exc:
            error = EngineError(f"request {request.id[:12]} was refused by the pipeline: {exc}")
            error.__cause__ = exc
            return FailedRequest(request, error)
        if not np.isfinite(unit).all():
            return FailedRequest(
                request, NotFinite(f"request {request.id[:12]} ended in NaN pixels")
            )
        return RenderedImage(
            request=request,
            pixels=with_alpha((unit * 255).round().astype(np.uint8)),
            seconds=perf_counter() - started,
            engine=self.settings,
        )

    def _call(self, request: GenerationRequest) -> np.ndarray[Any, np.dtype[np.float32]]:
        output = self._stock(
            prompt=request.prompt,
            negative_prompt=request.negative_prompt or None,
            width=request.width,
            height=request.height,
            num_inference_steps=request.num_inference_steps,
            guidance_scale=request.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(request.seed),
            output_type="np",
        )
        pixels: np.ndarray[Any, np.dtype[np.float32]] = output.images[0]
        return pixels
