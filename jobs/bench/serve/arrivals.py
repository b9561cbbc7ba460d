"""The committed traces as requests with times: what is asked stays, only time is stretched."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.api.requests import ImagesRequest
from jobs.bench.bulk.bench import CLASSES, COLOURS
from jobs.bench.engine.baselines import GUIDANCE_SCALE
from jobs.bench.engine.traces import Arrival, TraceKind, trace
from jobs.bench.serve.plain_diffusers import SIDE

UNGUIDED = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """An arrival, its time in seconds after the start, and the body of its request."""

    arrival: Arrival
    request: ImagesRequest

    @property
    def draft(self) -> bool:
        """Whether it is one of the quick ones."""
        return self.arrival.kind == "draft"


def asked(kind: TraceKind, count: int, *, images_per_second: float, seed: int = 1) -> list[Asked]:
    """The first `count` requests of a trace, arriving at exactly this rate over its length."""
    arrivals = trace(kind, seed=seed, load=1.0, count=count)
    at_rate = spread_out(arrivals, seconds=count / images_per_second)
    return [Asked(one, _request(one, index)) for index, one in enumerate(at_rate)]


def spread_out(arrivals: Sequence[Arrival], *, seconds: float) -> list[Arrival]:
    """The same arrivals, the last of them `seconds` after the start."""
    stretch = seconds / arrivals[-1].at
    return [replace(one, at=one.at * stretch) for one in arrivals]


def lone_draft(index: int) -> Asked:
    """One quick request, there at once."""
    one = Arrival(0.0, steps=8, guided=False, kind="draft")
    return Asked(one, _request(one, index))


def _request(one: Arrival, index: int) -> ImagesRequest:
    """Prompts go through all that the model knows; seeds differ."""
    name, colour = CLASSES[index % len(CLASSES)], COLOURS[index // len(CLASSES) % len(COLOURS)]
    return ImagesRequest(
        prompt=f"a {colour} {name}",
        model="starter",
        size=f"{SIDE}x{SIDE}",
        seed=index,
        steps=one.steps,
        guidance=GUIDANCE_SCALE if one.guided else UNGUIDED,
    )
