"""The benchmark, whole and in order: who -> what -> paint -> examine -> tally -> compare -> record.

Models take turns, one after the other, each warm on actors of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.fleet.prices import price_sheet
from app.generate.renderer import route_of
from app.registry.benchmark import Bench, Entrant, Slack, ranked
from app.registry.references import fleet
from app.settings import Settings
from app.store.publish import new_run_id
from jobs.model_bench.aggregate import figures_of
from jobs.model_bench.compare import against_each_other, against_last
from jobs.model_bench.participants import LAST, Starter, opponents, starters
from jobs.model_bench.record import History
from jobs.model_bench.runner import Studio, Thumbnails, Turn
from jobs.model_bench.workload import Workload
from jobs.runtime.progress import RunProgress
from jobs.runtime.ray_data import cluster

Pictures = dict[str, Thumbnails]
"""By reference: what the report shows."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What a benchmark is asked for."""

    models: Sequence[str]
    workload: Workload
    against: str = ""
    slack: Slack = field(default_factory=Slack)
    workers: int | None = None


def bench(
    asking: Asking, settings: Settings, progress: RunProgress, history: History
) -> tuple[Bench, Pictures]:
    """Everything measured and compared; nothing is recorded yet.

    Raises InvalidRequest (NoRoute for unknown models) before any work.
    """
    models = fleet(settings)
    named = starters(asking.models, models)
    others: dict[str, Starter] = {}
    if asking.against and asking.against != LAST:
        others = opponents(asking.against, named, models)
    everybody = _with(named, others)
    turns = [_turn(one, asking.workload, settings) for one in everybody]
    earlier = history.newest(asking.workload.digest) if asking.against == LAST else {}
    entrants, pictures = _painted(turns, asking, settings, progress)
    found = _bench(asking, entrants)
    if asking.against == LAST:
        return against_last(found, earlier, asking.slack), pictures
    pairs = {reference: other.model.reference for reference, other in others.items()}
    return against_each_other(found, pairs, asking.slack), pictures


def _with(named: Sequence[Starter], others: dict[str, Starter]) -> list[Starter]:
    """The named ones, then whoever is only compared with."""
    every: dict[str, Starter] = {}
    for one in (*named, *others.values()):
        every.setdefault(one.model.reference, one)
    return list(every.values())


def _turn(one: Starter, workload: Workload, settings: Settings) -> Turn:
    model = one.model
    route = route_of(model.reference, {model.reference: model})
    return Turn(
        starter=one,
        route=route,
        price=price_sheet(settings).price(model, route.backend),
        asked=workload.asked(model, settings),
        refused=workload.refused(model),
    )


def _painted(
    turns: Sequence[Turn], asking: Asking, settings: Settings, progress: RunProgress
) -> tuple[list[Entrant], Pictures]:
    entrants: list[Entrant] = []
    pictures: Pictures = {}
    with cluster(), progress:
        studio = Studio(settings, workers=asking.workers)
        for turn in turns:
            with progress.stage(turn.starter.named, 2 * len(turn.asked)) as stage:
                entrant, shown = studio.run(turn, stage.advance)
            entrants.append(entrant)
            pictures[entrant.reference] = shown
    return entrants, pictures


def _bench(asking: Asking, entrants: Sequence[Entrant]) -> Bench:
    found = Bench(
        id=new_run_id(),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        workload=asking.workload.digest,
        works=asking.workload.works,
        samples=asking.workload.samples,
        entrants=tuple(entrants),
        figures=(),
        against=asking.against,
    )
    return found.replace(figures=tuple(ranked([figures_of(found, one) for one in entrants])))
