"""The whole benchmark in order: models -> workload -> render -> check -> aggregate -> compare.

Models run one after the other, each warm on actors of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.fleet.prices import price_sheet
from app.generate.renderer import find_route
from app.registry.benchmark import BenchmarkResult, BenchTolerance, Participant, ranked
from app.registry.references import available_models
from app.settings import Settings
from app.store.publish import new_run_id
from jobs.model_bench.aggregate import figures_of
from jobs.model_bench.compare import against_each_other, against_last
from jobs.model_bench.participants import LAST, NamedModel, named_models, opponent_models
from jobs.model_bench.record import BenchHistory
from jobs.model_bench.runner import BenchRunner, ModelRun, Thumbnails
from jobs.model_bench.workload import Workload
from jobs.runtime.cluster import joined_cluster
from jobs.runtime.progress import RunProgress

Pictures = dict[str, Thumbnails]
"""By reference: the images the report shows."""


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """The models, workload and comparison of one benchmark."""

    models: Sequence[str]
    workload: Workload
    against: str = ""
    slack: BenchTolerance = field(default_factory=BenchTolerance)
    workers: int | None = None


def run_benchmark(
    asking: BenchRequest, settings: Settings, progress: RunProgress, history: BenchHistory
) -> tuple[BenchmarkResult, Pictures]:
    """Returns everything measured and compared, with thumbnails; nothing is recorded yet.

    Raises InvalidRequest (NoRoute for unknown models) before any work.
    """
    models = available_models(settings)
    named = named_models(asking.models, models)
    others: dict[str, NamedModel] = {}
    if asking.against and asking.against != LAST:
        others = opponent_models(asking.against, named, models)
    everybody = _with_references(named, others)
    turns = [_turn(participant, asking.workload, settings) for participant in everybody]
    earlier = history.newest(asking.workload.digest) if asking.against == LAST else {}
    participants, pictures = _render_all(turns, asking, settings, progress)
    benchmark = _bench(asking, participants)
    if asking.against == LAST:
        return against_last(benchmark, earlier, asking.slack), pictures
    pairs = {reference: other.model.reference for reference, other in others.items()}
    return against_each_other(benchmark, pairs, asking.slack), pictures


def _with_references(
    named: Sequence[NamedModel], others: dict[str, NamedModel]
) -> list[NamedModel]:
    """Returns the named models, then those that are only compared with."""
    every: dict[str, NamedModel] = {}
    for participant in (*named, *others.values()):
        every.setdefault(participant.model.reference, participant)
    return list(every.values())


def _turn(participant: NamedModel, workload: Workload, settings: Settings) -> ModelRun:
    model = participant.model
    route = find_route(model.reference, {model.reference: model})
    return ModelRun(
        starter=participant,
        route=route,
        price=price_sheet(settings).price(model, route.backend),
        asked=workload.requests(model, settings),
        refused=workload.refusals(model),
    )


def _render_all(
    turns: Sequence[ModelRun], asking: BenchRequest, settings: Settings, progress: RunProgress
) -> tuple[list[Participant], Pictures]:
    participants: list[Participant] = []
    pictures: Pictures = {}
    with joined_cluster(), progress:
        worker = BenchRunner(settings, workers=asking.workers)
        for turn in turns:
            with progress.stage(turn.starter.named, 2 * len(turn.asked)) as stage:
                participant, shown = worker.run(turn, stage.advance)
            participants.append(participant)
            pictures[participant.reference] = shown
    return participants, pictures


def _bench(asking: BenchRequest, participants: Sequence[Participant]) -> BenchmarkResult:
    benchmark = BenchmarkResult(
        id=new_run_id(),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        workload=asking.workload.digest,
        works=asking.workload.works,
        samples=asking.workload.samples,
        entrants=tuple(participants),
        figures=(),
        against=asking.against,
    )
    return benchmark.replace(
        figures=tuple(ranked([figures_of(benchmark, entrant) for entrant in participants]))
    )
