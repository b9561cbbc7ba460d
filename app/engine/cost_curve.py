"""Measures the cost of one step by its rows, and the row count beyond which more does not pay."""

from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from statistics import median
from time import perf_counter
from typing import Annotated

import torch
from pydantic import Field

from app.engine.pipeline import Pipeline, Rows, stack
from app.engine.row_budget import BUCKETS
from app.errors import OutOfMemory
from app.types import GenerationRequest, Pixels, Value

MIN_GAIN = 0.95
"""The knee is the smallest bucket that reaches at least this share of the best rows per second."""
MIN_PROBE_GAIN = 1.05
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
        """Returns the row budget: beyond it more rows barely raise the throughput."""
        pace = {rows: rows / seconds for rows, seconds in sorted(self.seconds.items())}
        return next(rows for rows in pace if pace[rows] >= MIN_GAIN * max(pace.values()))


@torch.inference_mode()
def measure(pipeline: Pipeline, width: int, height: int) -> CostCurve:
    """Times forward passes at growing bucket sizes until more rows no longer pay or fit.

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
            pipeline.predict(batch)  # warm-up: allocations, kernels, graphs
            seconds = median(_once(pipeline, batch) for _ in range(ROUNDS))
        except OutOfMemory:
            if not best:
                raise
            return
        yield rows, seconds
        if rows / seconds < best * MIN_PROBE_GAIN:
            return
        best = rows / seconds


def _once(pipeline: Pipeline, batch: Rows) -> float:
    started = perf_counter()
    pipeline.predict(batch)
    pipeline.wait_for_previous_step()
    pipeline.wait_for_previous_step()
    return perf_counter() - started


def _rows(pipeline: Pipeline, width: int, height: int, rows: int) -> Rows:
    """Returns copies of one real row; a forward pass costs the same whatever its values are."""
    request = GenerationRequest(
        prompt="x", width=width, height=height, num_inference_steps=1, guidance_scale=0
    )
    return stack([pipeline.begin(request)], rows)


SAMPLES_KEPT = 15
"""The latest steps of a size that count."""


class StepCosts:
    """Seconds of a step by family and number of rows, as measured so far, and of decoding."""

    def __init__(self) -> None:
        self._samples: dict[Hashable, dict[int, deque[float]]] = {}
        self._quartiles: dict[Hashable, dict[int, float]] = {}
        self._decodes: dict[Hashable, deque[float]] = {}

    def record_step(self, family: Hashable, rows: int, seconds: float) -> None:
        """Records the seconds of a step of this many rows, padding included."""
        seen = self._samples.setdefault(family, {}).setdefault(rows, deque(maxlen=SAMPLES_KEPT))
        seen.append(seconds)
        self._quartiles.setdefault(family, {})[rows] = _lower_quartile(seen)

    def record_decode(self, family: Hashable, seconds: float) -> None:
        """Records the seconds of decoding one image; called by one thread, which may be another."""
        self._decodes.setdefault(family, deque(maxlen=SAMPLES_KEPT)).append(seconds)

    def decode_seconds(self, family: Hashable) -> float:
        """Returns the seconds of decoding one image; 0 before any was decoded."""
        return _lower_quartile(self._decodes.get(family, ()))

    def is_measured(self, family: Hashable, rows: int) -> bool:
        """Returns whether a step with this many rows was measured."""
        return rows in self._quartiles.get(family, {})

    def step_seconds(self, family: Hashable, rows: int) -> float | None:
        """Returns the seconds of a step with this many rows; None if the family was never measured.

        Interpolated between two measured counts; below the smallest its value; above the largest in
        proportion, which never underestimates.
        """
        known = sorted(self._quartiles.get(family, {}).items())
        if not known:
            return None
        below = [sample for sample in known if sample[0] <= rows]
        above = [sample for sample in known if sample[0] >= rows]
        if not below:
            return above[0][1]
        (low, least), (high, most) = below[-1], above[0] if above else (0, 0.0)
        if not above:
            return least * rows / low
        return least if high == low else least + (most - least) * (rows - low) / (high - low)


def _lower_quartile(seen: Iterable[float]) -> float:
    """Returns the lower quartile, which larger steps and parallel decoding hardly disturb.

    The latency guarantee is a multiple of this undisturbed time.
    """
    ordered = sorted(seen)
    return ordered[len(ordered) // 4] if ordered else 0.0
