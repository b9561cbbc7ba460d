"""Reproducible arrival traces and the cost table they are scaled by: pure functions of a seed.

Arrivals come in bursts: a Poisson process that is switched on and off. Knows no clock and no model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Literal, TypeAlias

TraceKind: TypeAlias = Literal["drafts", "presets", "free"]
TRACE_KINDS: tuple[TraceKind, ...] = ("drafts", "presets", "free")

MAX_ROWS = 8
"""The rows of a full batch, for every policy; a load of 1 is what such batches carry."""
SATURATED = math.inf
"""The load of a trace in which every request is there from the start."""

ON_SHARE = 0.5
"""The share of time in which requests arrive at all."""
REQUESTS_PER_BURST = 10


@dataclass(frozen=True, slots=True)
class CostTable:
    """The cost of one forward pass: (rows, seconds), ascending in rows."""

    points: tuple[tuple[int, float], ...]

    def seconds(self, rows: int) -> float:
        """Returns the seconds of a forward pass, linear between and beyond the measured rows."""
        inner = [high for high in self.points[1:-1] if high[0] < rows]
        (low_rows, low), (high_rows, high) = list(pairwise(self.points))[len(inner)]
        return low + (high - low) * (rows - low_rows) / (high_rows - low_rows)

    @property
    def row_steps_per_second(self) -> float:
        """Returns the capacity: rows a second, one step each, in full batches."""
        return MAX_ROWS / self.seconds(MAX_ROWS)


MODEL_B = CostTable(((1, 0.0127), (2, 0.0161), (4, 0.0215), (8, 0.0321), (16, 0.0544)))
"""An SD3 transformer of width 128, 8 layers, 64 + 32 tokens, as measured on one CPU thread.

Rows share the overhead of a pass as they do at 512 x 512 on a large GPU: 3.2 times the throughput
at 8 rows.
"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request of a trace: its arrival in seconds, and what it asks for."""

    at: float
    steps: int
    guided: bool
    kind: str

    @property
    def rows(self) -> int:
        """Returns the rows it takes in every step."""
        return 2 if self.guided else 1

    @property
    def row_steps(self) -> int:
        """Returns all the work it asks for, in row-steps."""
        return self.rows * self.steps


def make_trace(
    kind: TraceKind, *, seed: int, load: float, count: int = 400, costs: CostTable = MODEL_B
) -> list[Arrival]:
    """Returns `count` requests whose work arrives at `load` times the capacity, in order of
    arrival.

    What they ask for depends on kind, seed and count alone; load and costs only stretch time.
    """
    arrivals = _request_shapes(kind, Random(f"{kind} {seed}"), count)
    work = sum(arrival.row_steps for arrival in arrivals) / count
    gap = 0.0 if load == SATURATED else work / (load * costs.row_steps_per_second)
    times = _bursts(Random(f"times {seed}"), count)
    return [
        Arrival(at * gap, arrival.steps, arrival.guided, arrival.kind)
        for at, arrival in zip(times, arrivals, strict=True)
    ]


def _request_shapes(kind: TraceKind, rng: Random, count: int) -> Sequence[Arrival]:
    draw = {"drafts": _draft, "presets": _preset, "free": _free}[kind]
    return [draw(rng) for _ in range(count)]


def _draft(rng: Random) -> Arrival:
    return Arrival(0.0, steps=8, guided=False, kind="draft")


def _preset(rng: Random) -> Arrival:
    choice = rng.random()
    if choice < 0.7:
        return _draft(rng)
    if choice < 0.9:
        return Arrival(0.0, steps=28, guided=True, kind="polish")
    return Arrival(0.0, steps=20, guided=True, kind="variation")


def _free(rng: Random) -> Arrival:
    """Draws free slider values; a third starts from an image and skips its first steps."""
    steps = 4 + int(rng.random() * 37)
    strength = 0.3 + 0.6 * rng.random() if rng.random() < 1 / 3 else 1.0
    steps = max(int(steps * strength), 1)
    guided = rng.random() < 0.5
    quick = steps <= 12 and not guided
    return Arrival(0.0, steps, guided, "draft" if quick else "polish")


def _bursts(rng: Random, count: int) -> list[float]:
    """Returns arrival times, one per unit of time on average, in exponential bursts and pauses."""
    times: list[float] = []
    now = 0.0
    pause = REQUESTS_PER_BURST * (1 - ON_SHARE)
    while len(times) < count:
        end = now + rng.expovariate(1 / (REQUESTS_PER_BURST * ON_SHARE))
        while (now := now + rng.expovariate(1 / ON_SHARE)) < end and len(times) < count:
            times.append(now)
        now = end + rng.expovariate(1 / pause)
    return times
