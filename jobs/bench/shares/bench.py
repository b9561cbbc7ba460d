"""How several teams, previews and models share one engine and one run: shares, waits, loads.

All but the last part is in virtual time, so the figures are the same everywhere. The last part runs
the starter model for real, each contender in turn, in CPU time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import process_time

from app.cli.output import Say
from app.engine.engine import Engine, Mode
from app.errors import InvalidRequest
from app.generate.renderer import load_engine
from app.models.bundled import bundled_models
from app.settings import Settings
from app.types import Value
from jobs.bench.engine.simulated_policies import percentile
from jobs.bench.engine.traces import MAX_ROWS, MODEL_B, Arrival, CostTable, make_trace
from jobs.bench.harness import Goal
from jobs.bench.shares.real_engine import SharedEngine
from jobs.bench.shares.simulation import (
    Backlog,
    batches_by_arrival,
    batches_in_order,
    count_loads,
    jobs_of,
    routes_to,
    row_steps_by_team,
    shares_of_first_half,
    simulate_mixed,
)

TEAMS = (Backlog("ui", 1, 2, 4), Backlog("props", 2, 1, 28), Backlog("heroes", 3, 2, 8))
"""Three teams by weight; the costs of their requests differ, so that shares are not trivial."""
WEIGHTS = {team.team: team.share for team in TEAMS}
ENGINE_STEPS, RUN_JOBS = 1000, 1200
SEEDS = (1, 2, 3, 4)
PREVIEWS = 150
PREVIEW_LOADS = (0.05, 0.1, 0.2)
MODES: tuple[Mode, ...] = ("reproducible", "exact", "fast")
SERVED: Mode = "exact"
"""The mode of `serve.yaml`."""
LOAD = 0.1
"""Of the engine's capacity: what previews ask for where a goal is set."""
LOAD_JOBS = 100
WARM_UP_SECONDS, BULK_SECONDS = 1.0, 10.0
"""Bulk alone for long enough that as many images are decoded as begun."""

MAX_OFF, MAX_P95, MAX_LOSS, MIN_REDUCTION = 0.1, 1.5, 0.15, 3.0
"""The goals: a share's relative error, a preview's p95 over that alone, what bulk loses, loads."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Previews of a round with the real model, and the rounds; without rounds it does not run."""

    previews: int
    rounds: int


class TeamFigure(Value):
    """The share that a team of a weight got, and the share that is due to it."""

    where: str
    team: str
    weight: float
    given: float
    due: float

    @property
    def off(self) -> float:
        """Returns how far the share is from its due, relative to that."""
        return abs(self.given / self.due - 1)


class PreviewFigure(Value):
    """Previews with bulk behind them over previews alone, means of seeds; and what bulk loses."""

    mode: Mode
    load: float
    p50: float
    p95: float
    worst_p95: float
    bulk_loss: float


class LoadFigure(Value):
    """Models loaded for a hundred jobs that ask for four models, by order and models kept."""

    workers: int
    as_they_come: int
    ordered: int
    ordered_kept: int
    teams_ordered: int
    teams_ordered_kept: int


class RealFigure(Value):
    """The same of previews and bulk with a model at work; seconds are this machine's CPU time."""

    model: str
    mode: Mode
    previews: int
    alone_p50: float
    alone_p95: float
    under_bulk_p50: float
    under_bulk_p95: float
    bulk_alone_row_steps: float
    bulk_row_steps: float

    @property
    def p95(self) -> float:
        """Returns the previews' p95 under bulk over that alone."""
        return self.under_bulk_p95 / self.alone_p95

    @property
    def bulk_loss(self) -> float:
        """Returns the share of its pace alone that bulk loses."""
        return 1 - self.bulk_row_steps / self.bulk_alone_row_steps


class SharesFigures(Value):
    """All that `bench-shares` measures, and which goals were missed."""

    teams: tuple[TeamFigure, ...]
    previews: tuple[PreviewFigure, ...]
    loads: tuple[LoadFigure, ...]
    real: RealFigure | None
    missed: tuple[str, ...]


def bench_shares(extent: Extent, say: Say) -> SharesFigures:
    """Measures the virtual figures in seconds; with rounds the starter too, for minutes."""
    say("teams, previews and models in virtual time")
    teams = (*_of_engine(), *_of_run())
    waits = tuple(_previews(mode, load) for mode in MODES for load in PREVIEW_LOADS)
    loaded = tuple(_loads(workers) for workers in (1, 2, 3))
    real = None
    if extent.rounds:
        say(f"the starter: bulk alone, previews alone, both; {extent.rounds} rounds")
        with TemporaryDirectory() as home:
            real = _real(Path(home), extent)
    return SharesFigures(
        teams=teams,
        previews=waits,
        loads=loaded,
        real=real,
        missed=tuple(goal.text for goal in goals(teams, waits, loaded, real) if not goal.met),
    )


def _of_engine() -> list[TeamFigure]:
    given = row_steps_by_team(TEAMS, ENGINE_STEPS)
    return _team_figures("engine", {team: part / given.total() for team, part in given.items()})


def _of_run() -> list[TeamFigure]:
    """Returns shares while all teams still have work: the first half of what is made."""
    rows = jobs_of(RUN_JOBS, teams=tuple(WEIGHTS))
    batches = batches_in_order(rows, routes_to(), workers=2, shares=WEIGHTS)
    return _team_figures("run", shares_of_first_half(batches))


def _team_figures(where: str, given: Mapping[str, float]) -> list[TeamFigure]:
    whole = sum(WEIGHTS.values())
    return [
        TeamFigure(
            where=where, team=team, weight=weight, given=round(given[team], 4), due=weight / whole
        )
        for team, weight in WEIGHTS.items()
    ]


def _previews(mode: Mode, load: float) -> PreviewFigure:
    pairs = []
    for seed in SEEDS:
        arrivals = make_trace("drafts", seed=seed, load=load, count=PREVIEWS)
        alone, both = (
            simulate_mixed(arrivals, MODEL_B, mode=mode, bulk=bulk) for bulk in (False, True)
        )
        pairs.append((alone, both))
    capacity = MODEL_B.row_steps_per_second
    return PreviewFigure(
        mode=mode,
        load=load,
        p50=round(fmean(both.preview_p50 / alone.preview_p50 for alone, both in pairs), 3),
        p95=round(fmean(both.preview_p95 / alone.preview_p95 for alone, both in pairs), 3),
        worst_p95=round(max(both.preview_p95 / alone.preview_p95 for alone, both in pairs), 3),
        bulk_loss=round(
            1 - fmean(both.bulk_row_steps_per_second for _, both in pairs) / capacity, 3
        ),
    )


def _loads(workers: int) -> LoadFigure:
    routes = routes_to()
    rows = jobs_of(LOAD_JOBS)
    ordered = batches_in_order(rows, routes, workers=workers)
    of_teams = jobs_of(LOAD_JOBS, teams=tuple(WEIGHTS))
    teams = batches_in_order(of_teams, routes, workers=workers, shares=WEIGHTS)
    return LoadFigure(
        workers=workers,
        as_they_come=count_loads(batches_by_arrival(rows, routes), workers=workers, models_kept=1),
        ordered=count_loads(ordered, workers=workers, models_kept=1),
        ordered_kept=count_loads(ordered, workers=workers, models_kept=len(routes)),
        teams_ordered=count_loads(teams, workers=workers, models_kept=1),
        teams_ordered_kept=count_loads(teams, workers=workers, models_kept=len(routes)),
    )


def goals(
    teams: Sequence[TeamFigure],
    waits: Sequence[PreviewFigure],
    loaded: Sequence[LoadFigure],
    real: RealFigure | None,
) -> Iterator[Goal]:
    """Yields every goal, with a sentence for those who miss it."""
    for team in teams:
        yield Goal(
            f"{team.team} was given {team.given:.1%} of the {team.where}, {team.due:.1%} are due",
            team.off <= MAX_OFF,
        )
    for row in waits:
        if row.load == LOAD:
            where = f"in mode {row.mode} at load {row.load:g}"
            yield _at_most(
                f"previews' p95 is {row.p95:.2f} of that alone {where}", row.p95, MAX_P95
            )
            yield _at_most(f"bulk loses {row.bulk_loss:.1%} {where}", row.bulk_loss, MAX_LOSS)
    for load in loaded:
        yield Goal(
            f"{load.workers} workers: {load.as_they_come} loads in order of arrival, ours are "
            f"{load.ordered}, {MIN_REDUCTION:g} times fewer was the goal",
            load.as_they_come >= MIN_REDUCTION * load.ordered,
        )
    if real:
        yield Goal(
            f"{real.model}: previews' p95 is {real.p95:.2f} of that alone", real.p95 <= MAX_P95
        )
        yield Goal(f"{real.model}: bulk loses {real.bulk_loss:.1%}", real.bulk_loss <= MAX_LOSS)


def _at_most(text: str, figure: float, limit: float) -> Goal:
    return Goal(f"{text}, {limit:g} at most was the goal", figure <= limit)


def _at_load(arrivals: Sequence[Arrival], pace: float) -> list[Arrival]:
    """Stretches the arrivals so that their work is exactly `LOAD` of the pace."""
    wanted = sum(arrival.row_steps for arrival in arrivals) / (LOAD * pace)
    return [replace(arrival, at=arrival.at * wanted / arrivals[-1].at) for arrival in arrivals]


def _real(home: Path, extent: Extent) -> RealFigure:
    """Measures bulk alone, previews alone, both; previews ask for a tenth of bulk's last pace."""
    version = bundled_models()["starter"]
    engine = load_engine(version, Settings(home=home), mode=SERVED, clock=process_time)
    if not isinstance(engine, Engine):
        raise InvalidRequest(f"{version.reference} takes no steps; there is nothing to share")
    shared = SharedEngine(engine, version.sizes[0].width)
    alone, under, bulk_alone, bulk_both = list[float](), list[float](), [], []
    shared.serve((), bulk=True, seconds=WARM_UP_SECONDS)
    for seed in range(1, extent.rounds + 1):
        pace = shared.serve((), bulk=True, seconds=BULK_SECONDS).bulk_row_steps_per_second
        flat = CostTable(tuple((rows, MAX_ROWS / pace) for rows in (1, MAX_ROWS)))
        arrivals = _at_load(
            make_trace("drafts", seed=seed, load=LOAD, count=extent.previews, costs=flat), pace
        )
        alone += shared.serve(arrivals, bulk=False).waits.values()
        both = shared.serve(arrivals, bulk=True)
        under += both.waits.values()
        bulk_alone.append(pace)
        bulk_both.append(both.bulk_row_steps_per_second)
    shared.close()
    return RealFigure(
        model=version.reference,
        mode=SERVED,
        previews=len(under),
        alone_p50=round(percentile(alone, 50), 4),
        alone_p95=round(percentile(alone, 95), 4),
        under_bulk_p50=round(percentile(under, 50), 4),
        under_bulk_p95=round(percentile(under, 95), 4),
        bulk_alone_row_steps=round(fmean(bulk_alone), 1),
        bulk_row_steps=round(fmean(bulk_both), 1),
    )
