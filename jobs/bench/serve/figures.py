"""From responses to figures: values and sums, without a clock and without a service."""

from collections.abc import Sequence
from statistics import fmean

from app.types import Value
from jobs.bench.engine.bench import Spread
from jobs.bench.engine.simulated_policies import percentile
from jobs.bench.engine.traces import TraceKind
from jobs.bench.serve.client import RequestOutcome

SHED = (429, 503)
DRAFT_GOAL, PACE_GOAL, PATH_GOAL = 0.4, 1.5, 0.9
GOAL_LOAD = 0.6


class LatencyFigures(Value):
    """Seconds of one request at a time."""

    p50: float
    p99: float


class Overhead(Value):
    """The path through HTTP, router and replica against the bare engine, measured in turns."""

    requests: int
    in_process: LatencyFigures
    http: LatencyFigures


class LoadCell(Value):
    """A service under a trace at a load; 1 is all that the engine alone can make.

    Latencies are seconds, of requests that got an image; None where there was none.
    """

    service: str
    trace: TraceKind
    load: float
    requests: int
    mean: float | None
    p95: float | None
    draft_p95: float | None
    first_preview_p50: float | None
    """Of the requests other than drafts; only they are streamed, where a service can."""
    first_preview_p95: float | None
    dropped_share: float


class Throughput(Value):
    """Images per second with all clients waiting, and as a share of the engine's in turn."""

    service: str
    trace: TraceKind
    images_per_second: Spread
    of_in_process: Spread
    cpu_ms: float
    """Of all its processes per image, without the client's."""
    in_process_cpu_ms: float
    """Of the engine's process in its turns; both hardly change on a busy machine."""

    @property
    def in_process(self) -> float:
        """Returns the images per second that the engine made in its turns."""
        return self.images_per_second.median / self.of_in_process.median


class Overload(Value):
    """A service under several times its capacity; every client has a timeout.

    Shares of capacity are of images (short ones count as much as long ones) and of work (rows times
    steps). `shed_p95` is how soon a request is refused.
    """

    service: str
    load: float
    patience_seconds: float
    requests: int
    image_share: float
    work_share: float
    shed_share: float
    gave_up_share: float
    broken_share: float
    shed_p95: float | None


class ServeFigures(Value):
    """All that `bench-serve` measures; `capacity` is the engine's images per second by trace."""

    seconds_a_cell: float
    clients: int
    capacity: dict[TraceKind, float]
    overhead: Overhead
    cells: tuple[LoadCell, ...]
    paces: tuple[Throughput, ...]
    overloads: tuple[Overload, ...]
    largest_pixel_difference: dict[str, int]
    """Between a service's image and the engine's for one request, of 255."""
    missing: dict[str, str]
    """Services that were not available, and what to do about it."""


def delay(seconds: Sequence[float]) -> LatencyFigures:
    """Returns median and 99th percentile."""
    return LatencyFigures(
        p50=_rounded(percentile(seconds, 50)), p99=_rounded(percentile(seconds, 99))
    )


def cell(
    service: str, trace: TraceKind, load: float, outcomes: Sequence[RequestOutcome]
) -> LoadCell:
    """Returns one cell's figures; a request without an image counts as dropped."""
    served = [outcome for outcome in outcomes if outcome.served]
    firsts = [outcome.first_seconds for outcome in served if outcome.first_seconds is not None]
    return LoadCell(
        service=service,
        trace=trace,
        load=load,
        requests=len(outcomes),
        mean=_rounded(fmean(outcome.seconds for outcome in served)) if served else None,
        p95=_percentile([outcome.seconds for outcome in served], 95),
        draft_p95=_percentile(
            [outcome.seconds for outcome in served if outcome.asked.is_draft], 95
        ),
        first_preview_p50=_percentile(firsts, 50),
        first_preview_p95=_percentile(firsts, 95),
        dropped_share=_share(len(outcomes) - len(served), len(outcomes)),
    )


def overload(
    service: str,
    load: float,
    outcomes: Sequence[RequestOutcome],
    *,
    images_per_second: float,
    patience_seconds: float,
) -> Overload:
    """Returns goodput from the start to the last image, over at least the time of the arrivals."""
    served = [outcome for outcome in outcomes if outcome.served]
    shed = [outcome.seconds for outcome in outcomes if outcome.status in SHED]
    gave_up = sum(outcome.status == 0 for outcome in outcomes)
    arrivals = [outcome.asked.arrival for outcome in outcomes]
    seconds = max([arrivals[-1].at, *(outcome.ended for outcome in served)])
    a_request = sum(arrival.row_steps for arrival in arrivals) / len(arrivals)
    work = sum(outcome.asked.arrival.row_steps for outcome in served) / a_request
    return Overload(
        service=service,
        load=load,
        patience_seconds=patience_seconds,
        requests=len(outcomes),
        image_share=_share(len(served), images_per_second * seconds),
        work_share=_share(work, images_per_second * seconds),
        shed_share=_share(len(shed), len(outcomes)),
        gave_up_share=_share(gave_up, len(outcomes)),
        broken_share=_share(len(outcomes) - len(served) - len(shed) - gave_up, len(outcomes)),
        shed_p95=_percentile(shed, 95),
    )


def draft_ratio(figures: ServeFigures, trace: TraceKind, ours: str) -> float | None:
    """Returns our drafts' p95 at the goal's load over the best other's; None without both."""
    by_service = {
        cell.service: cell.draft_p95
        for cell in figures.cells
        if (cell.trace, cell.load) == (trace, GOAL_LOAD) and cell.draft_p95 is not None
    }
    others = [seconds for service, seconds in by_service.items() if service != ours]
    return by_service[ours] / min(others) if ours in by_service and others else None


def pace_ratio(figures: ServeFigures, trace: TraceKind, ours: str) -> float | None:
    """Returns our images per second over the best other's, each relative to its engine's turns."""
    by_service = {
        pace.service: pace.of_in_process.median for pace in figures.paces if pace.trace == trace
    }
    others = [share for service, share in by_service.items() if service != ours]
    return by_service[ours] / max(others) if ours in by_service and others else None


def _percentile(values: Sequence[float], share: int) -> float | None:
    if not values:
        return None
    return _rounded(percentile(values, share) if len(values) > 1 else values[0])


def _share(part: float, whole: float) -> float:
    return round(part / whole, 4)


def _rounded(seconds: float) -> float:
    return round(seconds, 4)
