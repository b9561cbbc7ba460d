"""The benchmark of refining: the same assets tried again by seed, and with a reason."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from app.cli.output import Say
from app.environment import environment
from app.models import bundled
from app.refine.attempts import Refiner
from app.refine.statistics import RefineStatistics, count_retries
from app.route.router import RouteChoice
from app.types import AssetSpec, ModelVersion, Refine, Retry, Status, Value
from app.types.candidate import DecidedAsset
from jobs.bench.refine.workload import GOOD_SETTINGS, POOR_SETTINGS, PoorSettings, assets
from jobs.bench.routing.fleet import PRUNED, pruned
from jobs.bench.routing.simulator import RunSimulator, SimulatedRun, direct_plan

LEARNING, ASKED = 1, 2
"""The plans' seeds: no asset of the second plan was learned from."""
BY_SEED, UNLEARNED, LEARNED = "next seed", "reason, nothing learned", "reason, learned"
RESAMPLED = 2000


@dataclass(frozen=True, slots=True)
class Extent:
    """How many assets are made: every kind of object in this many colours."""

    colours: int


class RefineRow(Value):
    """The result of one retry strategy with one setting."""

    world: str
    way: str
    asked: int
    accepted: int
    attempts: int
    cpu_seconds: float
    """Of generation, all attempts together."""
    changes: dict[str, tuple[int, int]]
    """How often each change was tried, and passed."""

    @property
    def attempts_per_accepted(self) -> float | None:
        """Returns the images made per accepted asset, including those of other assets."""
        return self.attempts / self.accepted if self.accepted else None

    @property
    def to_people(self) -> float:
        """Returns the share of assets whose attempts are used up, so that a person must decide."""
        return 1 - self.accepted / self.asked


class RefineFigures(Value):
    """The benchmark's figures, of one run."""

    processor: str
    learned_from: int
    """Further attempts, of other assets."""
    rows: tuple[RefineRow, ...]
    saved: float | None
    """The share of attempts per accepted asset saved over all poor settings."""
    saved_within: tuple[float, float] | None
    """The 95 % interval of that share, by bootstrap."""

    def row(self, way: str, world: str) -> RefineRow:
        """Returns the row of a strategy and a setting."""
        return next(row for row in self.rows if (row.way, row.world) == (way, world))


def bench_refine(extent: Extent, say: Say) -> RefineFigures:
    """Learns from one plan per setting, then makes another one with every strategy."""
    with TemporaryDirectory(prefix="atelier-refine-") as name:
        folder = Path(name)
        models = {PRUNED: pruned(folder), "starter": bundled.bundled_models()["starter"]}
        simulator = RunSimulator(models, folder)
        all_settings = (*POOR_SETTINGS, GOOD_SETTINGS)
        say("learning")
        statistics = count_retries(_past(simulator, all_settings, extent))
        runs: dict[tuple[PoorSettings, str], SimulatedRun] = {}
        for setting in all_settings:
            say(f"{setting}: making all in {len(_strategies(statistics))} ways")
            for way, known in _strategies(statistics).items():
                runs[setting, way] = _run_plan(simulator, setting, known, seed=ASKED, extent=extent)
    pairs = [
        (runs[setting, BY_SEED].decided[at], runs[setting, LEARNED].decided[at])
        for setting in POOR_SETTINGS
        for at in range(runs[setting, BY_SEED].asked)
    ]
    return RefineFigures(
        processor=environment().processor,
        learned_from=statistics.retries,
        rows=tuple(_row(setting, way, run) for (setting, way), run in runs.items()),
        saved=saving(pairs),
        saved_within=_resampled(pairs),
    )


def _strategies(statistics: RefineStatistics) -> Mapping[str, RefineStatistics | None]:
    return {BY_SEED: None, UNLEARNED: RefineStatistics(), LEARNED: statistics}


def _past(
    simulator: RunSimulator, all_settings: Sequence[PoorSettings], extent: Extent
) -> list[Retry]:
    runs = [
        _run_plan(simulator, setting, RefineStatistics(), seed=LEARNING, extent=extent)
        for setting in all_settings
    ]
    return [retry for run in runs for asset in run.decided for retry in asset.retries]


def _run_plan(
    simulator: RunSimulator,
    setting: PoorSettings,
    known: RefineStatistics | None,
    *,
    seed: int,
    extent: Extent,
) -> SimulatedRun:
    """Makes all assets of a setting's plan, in the plan's order; by the next seed without
    statistics.

    Assets do not affect each other, whichever strategy is used.
    """
    refine = Refine.SEED if known is None else Refine.REASON
    refiner = None if known is None else Refiner(known, simulator.models)
    specs = assets(setting, refine, simulator.models, seed=seed, colours=extent.colours)
    run = simulator.run([(spec,) for spec in specs], _named(simulator.models), refiner=refiner)
    run.decided.sort(key=lambda asset: asset.index)
    return run


def _named(
    models: Mapping[str, ModelVersion],
) -> Callable[[tuple[AssetSpec, ...], str], RouteChoice | None]:
    return lambda variants, _: direct_plan(variants[0], models[variants[0].model])


def _row(setting: PoorSettings, way: str, run: SimulatedRun) -> RefineRow:
    retries = [retry for asset in run.decided for retry in asset.retries]
    tried = Counter(retry.change for retry in retries)
    passed = Counter(retry.change for retry in retries if retry.passed)
    return RefineRow(
        world=str(setting),
        way=way,
        asked=run.asked,
        accepted=run.accepted,
        attempts=sum(asset.attempts for asset in run.decided),
        cpu_seconds=sum(run.cpu_seconds.values()),
        changes={change: (tried[change], passed[change]) for change, _ in tried.most_common()},
    )


def saving(pairs: Sequence[tuple[DecidedAsset, DecidedAsset]]) -> float | None:
    """Returns the share of attempts per accepted asset that the second of each pair saves."""
    before, after = (_each(side) for side in zip(*pairs, strict=True))
    return 1 - after / before if before and after else None


def _each(decided: Sequence[DecidedAsset]) -> float | None:
    accepted = sum(asset.decision.status is Status.ACCEPTED for asset in decided)
    return sum(asset.attempts for asset in decided) / accepted if accepted else None


def _resampled(pairs: Sequence[tuple[DecidedAsset, DecidedAsset]]) -> tuple[float, float] | None:
    """Returns the bootstrap's percentile interval over assets (Efron 1979)."""
    rng = Random(0)
    drawn = [saving(rng.choices(pairs, k=len(pairs))) for _ in range(RESAMPLED)]
    known = sorted(value for value in drawn if value is not None)
    if len(known) < RESAMPLED:
        return None
    return known[RESAMPLED // 40], known[-RESAMPLED // 40]
