"""The benchmark of refining: the same assets tried again by seed, and with a reason."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from app.environment import environment
from app.models import bundled
from app.refine.attempts import Refiner
from app.refine.statistics import RefineStatistics, count_retries
from app.route.router import RouteChoice
from app.types import AssetSpec, ModelVersion, Refine, Retry, Status, Value
from jobs.bench.refine.workload import GOOD_SETTINGS, POOR_SETTINGS, PoorSettings, assets
from jobs.bench.routing.fleet import PRUNED, pruned
from jobs.bench.routing.simulator import RunSimulator, SimulatedRun, direct_plan
from jobs.runtime.batches import DecidedAsset

LEARNING, ASKED = 1, 2
"""The plans' seeds: no asset of the second plan was learned from."""
BY_SEED, UNLEARNED, LEARNED = "next seed", "reason, nothing learned", "reason, learned"
RESAMPLED = 2000
Say = Callable[[str], None]


class Extent(Value):
    """How many assets are made."""

    colours: int


FULL, QUICK = Extent(colours=10), Extent(colours=1)


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
        player = RunSimulator(models, folder)
        worlds = (*POOR_SETTINGS, GOOD_SETTINGS)
        say("learning")
        statistics = count_retries(_past(player, worlds, extent))
        games: dict[tuple[PoorSettings, str], SimulatedRun] = {}
        for world in worlds:
            say(f"{world}: making all in {len(_strategies(statistics))} ways")
            for way, known in _strategies(statistics).items():
                games[world, way] = _play(player, world, known, seed=ASKED, extent=extent)
    pairs = [
        (games[world, BY_SEED].decided[at], games[world, LEARNED].decided[at])
        for world in POOR_SETTINGS
        for at in range(games[world, BY_SEED].asked)
    ]
    return RefineFigures(
        processor=environment().processor,
        learned_from=statistics.retries,
        rows=tuple(_row(world, way, played) for (world, way), played in games.items()),
        saved=saving(pairs),
        saved_within=_resampled(pairs),
    )


def _strategies(statistics: RefineStatistics) -> Mapping[str, RefineStatistics | None]:
    return {BY_SEED: None, UNLEARNED: RefineStatistics(), LEARNED: statistics}


def _past(player: RunSimulator, worlds: Sequence[PoorSettings], extent: Extent) -> list[Retry]:
    games = [
        _play(player, world, RefineStatistics(), seed=LEARNING, extent=extent) for world in worlds
    ]
    return [retry for played in games for asset in played.decided for retry in asset.retries]


def _play(
    player: RunSimulator,
    world: PoorSettings,
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
    refiner = None if known is None else Refiner(known, player.models)
    specs = assets(world, refine, player.models, seed=seed, colours=extent.colours)
    played = player.run([(spec,) for spec in specs], _named(player.models), refiner=refiner)
    played.decided.sort(key=lambda asset: asset.index)
    return played


def _named(
    models: Mapping[str, ModelVersion],
) -> Callable[[tuple[AssetSpec, ...], str], RouteChoice | None]:
    return lambda variants, _: direct_plan(variants[0], models[variants[0].model])


def _row(world: PoorSettings, way: str, played: SimulatedRun) -> RefineRow:
    retries = [retry for asset in played.decided for retry in asset.retries]
    tried = Counter(retry.change for retry in retries)
    passed = Counter(retry.change for retry in retries if retry.passed)
    return RefineRow(
        world=str(world),
        way=way,
        asked=played.asked,
        accepted=played.accepted,
        attempts=sum(asset.attempts for asset in played.decided),
        cpu_seconds=sum(played.cpu_seconds.values()),
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
