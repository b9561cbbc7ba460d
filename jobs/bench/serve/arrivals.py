"""The traces as requests with times: the requests stay, only time is stretched."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.api.requests import ImagesRequest
from jobs.bench.bulk.bench import CLASSES, COLOURS
from jobs.bench.engine.baselines import GUIDANCE_SCALE
from jobs.bench.engine.traces import Arrival, TraceKind, make_trace
from jobs.bench.serve.plain_diffusers import SIDE

UNGUIDED = 1.0


@dataclass(frozen=True, slots=True)
class TimedRequest:
    """An arrival, its time in seconds after the start, and the body of its request."""

    arrival: Arrival
    request: ImagesRequest

    @property
    def is_draft(self) -> bool:
        """Returns whether it is a draft."""
        return self.arrival.kind == "draft"


def timed_requests(
    kind: TraceKind, count: int, *, images_per_second: float, seed: int = 1
) -> list[TimedRequest]:
    """Returns the first `count` requests of a trace, at exactly this rate over its length."""
    arrivals = make_trace(kind, seed=seed, load=1.0, count=count)
    at_rate = spread_out(arrivals, seconds=count / images_per_second)
    return [
        TimedRequest(arrival, _request(arrival, index)) for index, arrival in enumerate(at_rate)
    ]


def spread_out(arrivals: Sequence[Arrival], *, seconds: float) -> list[Arrival]:
    """Returns the same arrivals, the last of them `seconds` after the start."""
    stretch = seconds / arrivals[-1].at
    return [replace(arrival, at=arrival.at * stretch) for arrival in arrivals]


def lone_draft(index: int) -> TimedRequest:
    """Returns one draft request that arrives at once."""
    arrival = Arrival(0.0, steps=8, guided=False, kind="draft")
    return TimedRequest(arrival, _request(arrival, index))


def _request(arrival: Arrival, index: int) -> ImagesRequest:
    """Returns a request; prompts go through all that the model knows, and seeds differ."""
    name, colour = CLASSES[index % len(CLASSES)], COLOURS[index // len(CLASSES) % len(COLOURS)]
    return ImagesRequest(
        prompt=f"a {colour} {name}",
        model="starter",
        size=f"{SIDE}x{SIDE}",
        seed=index,
        steps=arrival.steps,
        guidance=GUIDANCE_SCALE if arrival.guided else UNGUIDED,
    )
