"""Teams, previews and models that share one engine or one run, in virtual time, without a model.

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
from app.engine.latency_guard import LatencyGuard
from app.engine.row_budget import bucket_for
from app.engine.scheduler import Scheduler
from app.engine.state import Delivery, ServiceClass
from app.models.bundled import ECHO
from app.types import AssetSpec, GenerationRequest, Kind, Route, Size, Tags
from jobs.bench.engine.simulated_policies import InFlight, percentile
from jobs.bench.engine.traces import MAX_ROWS, Arrival, CostTable
from jobs.runtime.batches import GenerateBatch, GenerateRow, generate_batches, row_steps, team_of
from jobs.stages.model_cache import ModelCache

IN_FLIGHT = 24
"""Bulk requests that an engine has in flight at any time, as many as a replica's capacity."""
POLISH = (2, 28)
"""Rows and steps of a bulk request: polish with guidance."""
MIN_EXACT_ROWS = 4
"""The smallest row count that is proven to be exact on the processor whose costs are simulated."""
MODELS = ("light", "heavy", "type", "texture")


@dataclass(frozen=True, slots=True)
class Backlog:
    """A team that always has work waiting, and the cost of each of its requests."""

    team: str
    share: float
    rows: int
    steps: int


def row_steps_by_team(backlogs: Sequence[Backlog], steps: int) -> Counter[str]:
    """Returns the row-steps each team got in `steps` of one engine, all of them always waiting."""
    scheduler: Scheduler[InFlight] = Scheduler(lambda family: MAX_ROWS)
    tickets, given = count(), Counter[str]()
    for now in range(steps):
        for backlog in backlogs:
            here = sum(waiting.delivery.team == backlog.team for waiting in scheduler)
            for _ in range(IN_FLIGHT - here):
                delivery = Delivery(ServiceClass.BULK, team=backlog.team, share=backlog.share)
                scheduler.add(
                    InFlight(next(tickets), float(now), backlog.rows, backlog.steps, delivery)
                )
        for taken in scheduler.take(float(now), step_seconds=1.0):
            given[taken.delivery.team] += taken.rows
            _advance(scheduler, taken)
    return given


def _advance(scheduler: Scheduler[InFlight], request: InFlight) -> bool:
    """Advances by one step; returns whether it was the last."""
    request.steps_left -= 1
    if not request.steps_left:
        scheduler.remove(request.ticket)
    return not request.steps_left


@dataclass(frozen=True, slots=True)
class MixedFigures:
    """The latency of previews, and the pace of the bulk work behind them."""

    preview_p50: float
    preview_p95: float
    bulk_row_steps_per_second: float


def simulate_mixed(
    previews: Sequence[Arrival], costs: CostTable, *, mode: Mode, bulk: bool
) -> MixedFigures:
    """Simulates previews as they arrive, with as much bulk as an engine holds, or with none."""
    learned = StepCosts()
    latency_guard = LatencyGuard(learned, lambda _, rows: _padded(rows, mode), lambda _: MAX_ROWS)
    scheduler: Scheduler[InFlight] = Scheduler(lambda family: MAX_ROWS, latency_guard=latency_guard)
    finished: dict[int, float] = {}
    coming, tickets, now, done = deque(enumerate(previews)), count(len(previews)), 0.0, 0
    while len(finished) < len(previews):
        for _ in range(IN_FLIGHT - _bulk_in(scheduler) if bulk else 0):
            scheduler.add(InFlight(next(tickets), now, *POLISH, Delivery(ServiceClass.BULK)))
        now = now if len(scheduler) else max(now, coming[0][1].at)
        while coming and coming[0][1].at <= now:
            ticket, arrival = coming.popleft()
            scheduler.add(InFlight(ticket, arrival.at, arrival.rows, arrival.steps))
        taken = scheduler.take(now, step_seconds=costs.seconds(MAX_ROWS))
        padded = _padded(sum(state.rows for state in taken), mode)
        learned.record_step(None, padded, costs.seconds(padded))
        now += costs.seconds(padded)
        for state in taken:
            done += state.rows if state.delivery.service is ServiceClass.BULK else 0
            if _advance(scheduler, state) and state.ticket < len(previews):
                finished[state.ticket] = now
    waited = [finished[ticket] - arrival.at for ticket, arrival in enumerate(previews)]
    return MixedFigures(percentile(waited, 50), percentile(waited, 95), done / now)


def _bulk_in(scheduler: Scheduler[InFlight]) -> int:
    return sum(request.delivery.service is ServiceClass.BULK for request in scheduler)


def _padded(rows: int, mode: Mode) -> int:
    if mode == "reproducible":
        return MAX_ROWS
    return bucket_for(max(rows, MIN_EXACT_ROWS if mode == "exact" else 1))


def jobs_of(
    number: int, *, models: Sequence[str] = MODELS, teams: Sequence[str] = ("",)
) -> list[GenerateRow]:
    """Returns jobs in order of arrival, one image each: teams in turn, models drawn by seed."""
    drawn = Random("models").choices(models, k=number)
    turns = zip(range(number), drawn, cycle(teams), strict=False)
    return [_generate_row(index, model, team) for index, model, team in turns]


def _generate_row(index: int, model: str, team: str) -> GenerateRow:
    request = GenerationRequest(
        prompt=f"job {index}", width=64, height=64, num_inference_steps=POLISH[1],
        guidance_scale=4, tags=Tags(team=team),
    )  # fmt: skip
    spec = AssetSpec(
        name=f"job.{index}", kind=Kind.ICON, usage="bench", axes={}, request=request,
        sizes=(Size(width=64, height=64),), candidates=1, attempts=1, rules=(), model=model,
    )  # fmt: skip
    return GenerateRow(spec=spec, requests=(request,))


def routes_to(models: Sequence[str] = MODELS) -> dict[str, Route]:
    """Returns a route to each; only the echo is behind it."""
    return {
        name: Route(backend="echo", model=ECHO.replace(name=name), reason="in virtual time")
        for name in models
    }


def batches_by_arrival(
    rows: Sequence[GenerateRow], routes: Mapping[str, Route]
) -> list[GenerateBatch]:
    """Returns a batch for each job, in order of arrival."""
    return [GenerateBatch(route=routes[item.spec.model], items=(item,)) for item in rows]


def batches_in_order(
    rows: Sequence[GenerateRow],
    routes: Mapping[str, Route],
    *,
    workers: int,
    shares: Mapping[str, float] | None = None,
) -> list[GenerateBatch]:
    """Returns the bulk job's own micro-batches."""
    named = shares or {}
    return list(
        generate_batches(rows, routes, workers=workers, share=lambda team: named.get(team, 1))
    )


def count_loads(batches: Sequence[GenerateBatch], *, workers: int, models_kept: int) -> int:
    """Returns the loads of workers that take the next batch as soon as they are free.

    Every model has the same size, and a batch takes as long as its row-steps.
    """
    echo = EchoBackend(EchoSettings())
    warm = [
        ModelCache(lambda _: echo, lambda _: 1, max_bytes=models_kept, collect=lambda: None)
        for _ in range(workers)
    ]
    free_at = [0] * workers
    for batch in batches:
        worker = free_at.index(min(free_at))
        warm[worker].backend(batch.route)
        free_at[worker] += row_steps(batch)
    return sum(worker.loads for worker in warm)


def shares_of_first_half(batches: Sequence[GenerateBatch]) -> dict[str, float]:
    """Returns each team's part of the row-steps in the first half of a run's batches."""
    given = Counter[str]()
    for batch in batches[: len(batches) // 2]:
        given[team_of(batch)] += row_steps(batch)
    return {team: work / sum(given.values()) for team, work in sorted(given.items())}
