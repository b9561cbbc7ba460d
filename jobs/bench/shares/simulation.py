"""Teams, previews and models that share one engine or one run, in virtual time: no clock, no model.

The engine's own scheduler chooses the rows, the bulk job's own rule the order of micro-batches and
the worker's own rule what stays loaded; only what they would drive is left out.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, cycle
from random import Random

from app.backends.echo import EchoBackend, EchoSettings
from app.engine.cost_curve import StepCosts
from app.engine.engine import Mode
from app.engine.latency_guard import Promise
from app.engine.row_budget import GUIDED_ROWS, bucket_for
from app.engine.scheduler import Scheduler
from app.engine.state import Delivery, Service
from app.models.bundled import ECHO
from app.types import AssetSpec, GenerationRequest, Kind, Route, Size, Tags
from jobs.bench.engine.simulated_policies import InFlight, percentile
from jobs.bench.engine.traces import MAX_ROWS, Arrival, CostTable
from jobs.runtime.batches import Asked, AskedBatch, asked_batches, row_steps, team_of
from jobs.stages.model_cache import Warm

UNDER_WAY = 24
"""Bulk requests that an engine has in flight at any time, as many as a replica's capacity."""
POLISH = (2, 28)
"""Rows and steps of a bulk request: polish with guidance."""
MODELS = ("light", "heavy", "type", "texture")


@dataclass(frozen=True, slots=True)
class Backlog:
    """A team that always has work waiting, and what each of its requests takes."""

    team: str
    share: float
    rows: int
    steps: int


def row_steps_by_team(backlogs: Sequence[Backlog], steps: int) -> Counter[str]:
    """What each team was given in so many steps of one engine, all of them always waiting."""
    scheduler: Scheduler[InFlight] = Scheduler(lambda family: MAX_ROWS)
    tickets, given = count(), Counter[str]()
    for now in range(steps):
        for one in backlogs:
            here = sum(waiting.delivery.team == one.team for waiting in scheduler)
            for _ in range(UNDER_WAY - here):
                delivery = Delivery(Service.BULK, team=one.team, share=one.share)
                scheduler.add(InFlight(next(tickets), float(now), one.rows, one.steps, delivery))
        for taken in scheduler.take(float(now), step_seconds=1.0):
            given[taken.delivery.team] += taken.rows
            _advance(scheduler, taken)
    return given


def _advance(scheduler: Scheduler[InFlight], one: InFlight) -> bool:
    """One step further; whether it was the last."""
    one.steps_left -= 1
    if not one.steps_left:
        scheduler.remove(one.ticket)
    return not one.steps_left


@dataclass(frozen=True, slots=True)
class Mixed:
    """What became of previews, and of the bulk work behind them."""

    preview_p50: float
    preview_p95: float
    bulk_row_steps_per_second: float


def mixed(previews: Sequence[Arrival], costs: CostTable, *, mode: Mode, bulk: bool) -> Mixed:
    """Previews as they arrive, with as much bulk as an engine holds behind them, or with none."""
    learned = StepCosts()
    promise = Promise(learned, lambda _, rows: _padded(rows, mode), lambda _: MAX_ROWS)
    scheduler: Scheduler[InFlight] = Scheduler(lambda family: MAX_ROWS, promise=promise)
    finished: dict[int, float] = {}
    coming, tickets, now, done = deque(enumerate(previews)), count(len(previews)), 0.0, 0
    while len(finished) < len(previews):
        for _ in range(UNDER_WAY - _bulk_in(scheduler) if bulk else 0):
            scheduler.add(InFlight(next(tickets), now, *POLISH, Delivery(Service.BULK)))
        now = now if len(scheduler) else max(now, coming[0][1].at)
        while coming and coming[0][1].at <= now:
            ticket, one = coming.popleft()
            scheduler.add(InFlight(ticket, one.at, one.rows, one.steps))
        taken = scheduler.take(now, step_seconds=costs.seconds(MAX_ROWS))
        padded = _padded(sum(state.rows for state in taken), mode)
        learned.took(None, padded, costs.seconds(padded))
        now += costs.seconds(padded)
        for state in taken:
            done += state.rows if state.delivery.service is Service.BULK else 0
            if _advance(scheduler, state) and state.ticket < len(previews):
                finished[state.ticket] = now
    waited = [finished[ticket] - one.at for ticket, one in enumerate(previews)]
    return Mixed(percentile(waited, 50), percentile(waited, 95), done / now)


def _bulk_in(scheduler: Scheduler[InFlight]) -> int:
    return sum(one.delivery.service is Service.BULK for one in scheduler)


def _padded(rows: int, mode: Mode) -> int:
    if mode == "reproducible":
        return MAX_ROWS
    return bucket_for(max(rows, GUIDED_ROWS if mode == "exact" else 1))


def jobs_of(
    number: int, *, models: Sequence[str] = MODELS, teams: Sequence[str] = ("",)
) -> list[Asked]:
    """Jobs as they would arrive, one image each: teams in turn, models by a seeded chance."""
    drawn = Random("models").choices(models, k=number)
    turns = zip(range(number), drawn, cycle(teams), strict=False)
    return [_asked(index, model, team) for index, model, team in turns]


def _asked(index: int, model: str, team: str) -> Asked:
    request = GenerationRequest(
        prompt=f"job {index}", width=64, height=64, num_inference_steps=POLISH[1],
        guidance_scale=4, tags=Tags(team=team),
    )  # fmt: skip
    spec = AssetSpec(
        name=f"job.{index}", kind=Kind.ICON, usage="bench", axes={}, request=request,
        sizes=(Size(width=64, height=64),), candidates=1, attempts=1, rules=(), model=model,
    )  # fmt: skip
    return Asked(spec=spec, requests=(request,))


def routes_to(models: Sequence[str] = MODELS) -> dict[str, Route]:
    """A route to each; nothing is behind it but the echo."""
    return {
        name: Route(backend="echo", model=ECHO.replace(name=name), reason="in virtual time")
        for name in models
    }


def as_they_come(asked: Sequence[Asked], routes: Mapping[str, Route]) -> list[AskedBatch]:
    """A batch for each job, in order of arrival."""
    return [AskedBatch(route=routes[one.spec.model], items=(one,)) for one in asked]


def in_our_order(
    asked: Sequence[Asked],
    routes: Mapping[str, Route],
    *,
    workers: int,
    shares: Mapping[str, float] | None = None,
) -> list[AskedBatch]:
    """The bulk job's own micro-batches."""
    named = shares or {}
    return list(
        asked_batches(asked, routes, workers=workers, share=lambda team: named.get(team, 1))
    )


def loads(batches: Sequence[AskedBatch], *, workers: int, models_kept: int) -> int:
    """Models that workers load who take the next batch as soon as they are free.

    Every model weighs the same, and a batch takes as long as its row-steps.
    """
    echo = EchoBackend(EchoSettings())
    warm = [
        Warm(lambda _: echo, lambda _: 1, max_bytes=models_kept, collect=lambda: None)
        for _ in range(workers)
    ]
    free_at = [0] * workers
    for batch in batches:
        worker = free_at.index(min(free_at))
        warm[worker].backend(batch.route)
        free_at[worker] += row_steps(batch)
    return sum(one.loads for one in warm)


def shares_of_first_half(batches: Sequence[AskedBatch]) -> dict[str, float]:
    """By team, its part of the row-steps in the first half of a run's batches."""
    given = Counter[str]()
    for batch in batches[: len(batches) // 2]:
        given[team_of(batch)] += row_steps(batch)
    return {team: work / sum(given.values()) for team, work in sorted(given.items())}
