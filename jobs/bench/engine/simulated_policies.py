"""Policies for serving a trace, in virtual time: what each of them makes of the same arrivals.

The clock advances by the cost of the work, from a table or a stopwatch; this file reads no clock
itself. `serve_stepwise` uses the engine's own scheduler.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles
from typing import TypeAlias

from app.engine.engine import Mode
from app.engine.row_budget import bucket_for
from app.engine.scheduler import Scheduler
from app.engine.state import Delivery, ServiceClass
from jobs.bench.engine.traces import MAX_ROWS, Arrival, CostTable

WINDOW = 8
"""The most requests that one request-level batch waits for."""

INTERACTIVE = Delivery(ServiceClass.INTERACTIVE)

Indices: TypeAlias = list[int]
Batch: TypeAlias = Sequence[Arrival]
RunBatch: TypeAlias = Callable[[Batch], float]
"""Makes every image of a batch with equal steps and guidance; returns the seconds it took."""


@dataclass(frozen=True, slots=True)
class TraceResult:
    """The outcome of a trace: when each request was done, in virtual seconds, and the work."""

    arrivals: Sequence[Arrival]
    finished: Sequence[float]
    forward_passes: int
    row_steps: int

    @property
    def makespan(self) -> float:
        """Returns the seconds from the first arrival to the last image."""
        return max(self.finished) - self.arrivals[0].at

    @property
    def images_per_second(self) -> float:
        """Returns all images over the makespan."""
        return len(self.finished) / self.makespan

    @property
    def mean(self) -> float:
        """Returns the mean latency in seconds, from arrival to image."""
        return fmean(self._latencies())

    @property
    def p50(self) -> float:
        """Returns the median latency in seconds."""
        return percentile(self._latencies(), 50)

    @property
    def p95(self) -> float:
        """Returns the latency in seconds that 19 of 20 requests stay below."""
        return percentile(self._latencies(), 95)

    @property
    def draft_p95(self) -> float:
        """Returns the p95 of drafts alone, in seconds."""
        return percentile(self._latencies("draft"), 95)

    def _latencies(self, kind: str = "") -> list[float]:
        pairs = zip(self.arrivals, self.finished, strict=True)
        return [end - arrival.at for arrival, end in pairs if not kind or arrival.kind == kind]


def percentile(values: Sequence[float], share: int) -> float:
    """Returns a percentile, interpolated linearly between its neighbours."""
    return quantiles(values, n=100, method="inclusive")[share - 1]


def batch_seconds(costs: CostTable) -> RunBatch:
    """Returns a function that makes nothing and returns the table's seconds for a batch."""
    return lambda batch: batch[0].steps * costs.seconds(sum(arrival.rows for arrival in batch))


def serve_sequentially(arrivals: Batch, run: RunBatch) -> TraceResult:
    """Serves one request at a time, in order: a pipeline behind a queue."""
    return _in_batches(arrivals, run, lambda queue: [[queue[0]]])


def serve_request_level(arrivals: Batch, run: RunBatch) -> TraceResult:
    """Serves as `@serve.batch` does: the oldest requests, split by parameters inside the handler.

    Their images are all delivered when the handler returns, as there.
    """

    def window(queue: Indices) -> list[Indices]:
        groups: dict[Hashable, Indices] = {}
        for index in queue[:WINDOW]:
            groups.setdefault(_key(arrivals[index]), []).append(index)
        return list(groups.values())

    return _in_batches(arrivals, run, window)


def serve_static_batches(arrivals: Batch, run: RunBatch) -> TraceResult:
    """Serves the best that whole batches can do: the oldest request and all with equal parameters.

    It may look through the whole queue, and rows may differ in prompt, seed and guidance scale.
    """

    def equal_parameters(queue: Indices) -> list[Indices]:
        first = arrivals[queue[0]]
        same = [index for index in queue if _key(arrivals[index]) == _key(first)]
        return [same[: MAX_ROWS // first.rows]]

    return _in_batches(arrivals, run, equal_parameters)


def _key(arrival: Arrival) -> Hashable:
    return arrival.steps, arrival.guided


def _in_batches(
    arrivals: Batch, run: RunBatch, choose: Callable[[Indices], list[Indices]]
) -> TraceResult:
    finished = [0.0] * len(arrivals)
    coming, queue = deque(range(len(arrivals))), Indices()
    now, forward_passes = 0.0, 0
    while coming or queue:
        if not queue:
            now = max(now, arrivals[coming[0]].at)
        queue += _arrived(coming, arrivals, now)
        chosen = choose(queue)
        for group in chosen:
            now += run([arrivals[index] for index in group])
            forward_passes += arrivals[group[0]].steps
        for index in (index for group in chosen for index in group):
            finished[index] = now
            queue.remove(index)
    return TraceResult(
        arrivals, finished, forward_passes, sum(arrival.row_steps for arrival in arrivals)
    )


def _arrived(coming: deque[int], arrivals: Batch, now: float) -> Iterator[int]:
    while coming and arrivals[coming[0]].at <= now:
        yield coming.popleft()


@dataclass(slots=True)
class InFlight:
    """An arrival as the scheduler sees it."""

    ticket: int
    joined: float
    rows: int
    steps_left: int
    delivery: Delivery = INTERACTIVE
    family: Hashable = None


def serve_stepwise(arrivals: Batch, costs: CostTable, *, mode: Mode) -> TraceResult:
    """Serves as Atelier's engine: its scheduler chooses at every step; rows are padded as there."""
    scheduler: Scheduler[InFlight] = Scheduler(lambda family: MAX_ROWS)
    finished = [0.0] * len(arrivals)
    coming = deque(range(len(arrivals)))
    now, forward_passes, row_steps = 0.0, 0, 0
    while coming or len(scheduler):
        if not len(scheduler):
            now = max(now, arrivals[coming[0]].at)
        for index in _arrived(coming, arrivals, now):
            arrival = arrivals[index]
            scheduler.add(InFlight(index, arrival.at, arrival.rows, arrival.steps))
        taken = scheduler.take(now)
        rows = sum(state.rows for state in taken)
        now += costs.seconds(bucket_for(rows) if mode == "fast" else MAX_ROWS)
        forward_passes, row_steps = forward_passes + 1, row_steps + rows
        for state in taken:
            state.steps_left -= 1
            if not state.steps_left:
                finished[state.ticket] = now
                scheduler.remove(state.ticket)
    return TraceResult(arrivals, finished, forward_passes, row_steps)
