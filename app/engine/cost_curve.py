"""What one step costs by its rows, measured, and the row count from which more stops paying."""

from collections.abc import Iterator
from statistics import median
from time import perf_counter
from typing import Annotated

import torch
from pydantic import Field

from app.engine.pipeline import Pipeline, Rows, stack
from app.engine.row_budget import BUCKETS
from app.errors import OutOfMemory
from app.types import GenerationRequest, Pixels, Value

PAYS = 0.95
"""The knee is the smallest bucket that makes at least this share of the best rows per second."""
WORTH_GOING_ON = 1.05
ROUNDS = 3


class CostCurve(Value):
    """T(rows) of one model at one size on one device: seconds of a step by its rows."""

    width: Pixels
    height: Pixels
    device: str
    dtype: str
    threads: int
    seconds: Annotated[dict[int, float], Field(min_length=1)]

    @property
    def knee(self) -> int:
        """The row budget: beyond it more rows only share the processor."""
        pace = {rows: rows / seconds for rows, seconds in sorted(self.seconds.items())}
        return next(rows for rows in pace if pace[rows] >= PAYS * max(pace.values()))


@torch.inference_mode()
def measure(pipeline: Pipeline, width: int, height: int) -> CostCurve:
    """Time forward passes at growing bucket sizes until more rows no longer pay or fit.

    Raises OutOfMemory when not even the smallest fits.
    """
    settings = pipeline.settings
    return CostCurve(
        width=width,
        height=height,
        device=settings.device,
        dtype=settings.dtype,
        threads=settings.threads,
        seconds=dict(_timed(pipeline, width, height)),
    )


def _timed(pipeline: Pipeline, width: int, height: int) -> Iterator[tuple[int, float]]:
    best = 0.0
    for rows in BUCKETS:
        batch = _rows(pipeline, width, height, rows)
        try:
            pipeline.predict(batch)  # warm: allocations, kernels, graphs
            seconds = median(_once(pipeline, batch) for _ in range(ROUNDS))
        except OutOfMemory:
            if not best:
                raise
            return
        yield rows, seconds
        if rows / seconds < best * WORTH_GOING_ON:
            return
        best = rows / seconds


def _once(pipeline: Pipeline, batch: Rows) -> float:
    started = perf_counter()
    pipeline.predict(batch)
    pipeline.keep_pace()
    pipeline.keep_pace()
    return perf_counter() - started


def _rows(pipeline: Pipeline, width: int, height: int, rows: int) -> Rows:
    """Copies of one real row; a forward pass costs the same whatever its numbers are."""
    request = GenerationRequest(
        prompt="x", width=width, height=height, num_inference_steps=1, guidance_scale=0
    )
    return stack([pipeline.begin(request)], rows)
