"""The benchmark of routing: one plan, its models chosen by every strategy, and the results."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from app.cli.output import Say
from app.digest import digest
from app.environment import environment
from app.fleet.prices import Price, PriceSheet
from app.plan.schema import RoutePlan
from app.registry.references import pin_references
from app.route.policy import Policy, keep_policy, learn_policy, promote_policy
from app.route.router import ModelRouter, RouteChoice
from app.route.success_model import reliability
from app.settings import Settings
from app.store.catalog import Catalog
from app.types import AssetRecord, AssetSpec, ModelVersion, Value
from jobs.bench.routing import workload
from jobs.bench.routing.ablations import Ablation, run_ablations
from jobs.bench.routing.fleet import fleet
from jobs.bench.routing.simulator import RunSimulator, SimulatedRun, direct_plan

LEARNING, ASKED = 1, 2
"""The plans' seeds: no asset of the second plan was learned from."""
USD_PER_CPU_SECOND = 0.05 / 3600
"""What a rented core costs; another price changes all rows alike."""
Assets = Sequence[tuple[AssetSpec, ...]]


@dataclass(frozen=True, slots=True)
class Extent:
    """How many assets are made: colours of each kind of object, words of posters, and heroes."""

    colours: int
    posters: int
    heroes: int
    """Heroes that the ablations polish."""


class RoutingRow(Value):
    """The result of one strategy of choosing models."""

    way: str
    asked: int
    refused: int
    """Assets that its models cannot make at all: a text, a size."""
    accepted: float
    """As a share of all that were asked for."""
    first_accepted: float
    """The share of all that were asked for whose first image passed."""
    images: int
    by_model: dict[str, int]
    cpu_seconds: float
    usd: float
    usd_per_accepted: float | None


class RoutingFigures(Value):
    """The benchmark's figures, of one run."""

    processor: str
    learned_from: int
    """Decided assets."""
    calibration_error: float
    """Of the probabilities predicted for the second plan, over all models; 0 is perfect."""
    foretold: int
    """Predictions that were compared."""
    rows: tuple[RoutingRow, ...]
    contrasts: tuple[Ablation, ...] = ()

    @property
    def best_single(self) -> RoutingRow:
        """Returns the single model with which most assets pass; of equals the cheapest."""
        singles = [row for row in self.rows if row.way.startswith("all by")]
        return max(singles, key=lambda row: (row.accepted, -(row.usd_per_accepted or 0)))

    @property
    def saving(self) -> float | None:
        """Returns the share of the best single model's cost per accepted asset that it saves."""
        routed, single = self.rows[-1].usd_per_accepted, self.best_single.usd_per_accepted
        return 1 - routed / single if routed is not None and single else None


def bench_routing(extent: Extent, say: Say) -> RoutingFigures:
    """Learns from one plan, then makes another one by every strategy; all stores are temporary."""
    with TemporaryDirectory(prefix="atelier-routing-") as name:
        folder = Path(name)
        models = fleet(folder)
        simulator = RunSimulator(models, folder)
        catalog = Catalog.open(f"sqlite:///{folder / 'policies.db'}")
        unlearned = Catalog.open(f"sqlite:///{folder / 'nothing.db'}")
        policy = learn_policy(list(_past(simulator, unlearned, extent, say)))
        promote_policy(catalog, keep_policy(catalog, policy))
        variants = _assets(models, seed=ASKED, extent=extent)
        runs = {
            way: simulator.run(variants, choose)
            for way, choose in _strategies(models, catalog, say)
        }
        error, predicted = _calibration(policy, list(runs.values()))
        figures = RoutingFigures(
            processor=environment().processor,
            learned_from=policy.assets,
            calibration_error=error,
            foretold=predicted,
            rows=tuple(_row(way, result) for way, result in runs.items()),
            contrasts=run_ablations(folder, extent.heroes, say),
        )
        catalog.close()
    return figures


def _past(
    simulator: RunSimulator, unlearned: Catalog, extent: Extent, say: Say
) -> Iterator[AssetRecord]:
    """Yields records: every model at all it can make, and light before heavy where both can."""
    assets = _assets(simulator.models, seed=LEARNING, extent=extent)
    for name in workload.MODELS:
        say(f"learning from {name}")
        yield from simulator.run(assets, _only(name, simulator.models)).records
    say("learning from pruned, then starter")
    pair = [variants for variants in assets if variants[0].name.startswith("icon")]
    terms = RoutePlan(models=("pruned", "starter"))
    routing = ModelRouter(terms, simulator.models, unlearned, PriceSheet(), keeps=False)
    two = [tuple(spec for spec in variants if spec.model in terms.models) for variants in pair]
    yield from simulator.run(two, routing.choose).records


def _assets(models: Mapping[str, ModelVersion], *, seed: int, extent: Extent) -> Assets:
    written = workload.plan(seed=seed, cascade=True, colours=extent.colours, posters=extent.posters)
    return workload.assets(pin_references(written, models, Settings()), models)


def _strategies(
    models: Mapping[str, ModelVersion], catalog: Catalog, say: Say
) -> Iterator[tuple[str, Callable[[tuple[AssetSpec, ...], str], RouteChoice | None]]]:
    for name in workload.MODELS:
        say(f"making all by {name}")
        yield f"all by {name}", _only(name, models)
    say("making all by chance")
    yield "by chance", lambda variants, key: direct_plan(*_drawn(variants, key, models))
    prices = PriceSheet(cpu_second=USD_PER_CPU_SECOND)
    for cascade in (False, True):
        way = "routed, light before heavy" if cascade else "routed"
        say(f"making all {way}")
        terms = RoutePlan(models=workload.MODELS, confidence=workload.CONFIDENCE, cascade=cascade)
        yield way, ModelRouter(terms, models, catalog, prices, keeps=False).choose


def _only(
    name: str, models: Mapping[str, ModelVersion]
) -> Callable[[tuple[AssetSpec, ...], str], RouteChoice | None]:
    def choose(variants: tuple[AssetSpec, ...], _: str) -> RouteChoice | None:
        own = next((spec for spec in variants if spec.model == name), None)
        return direct_plan(own, models[name]) if own else None

    return choose


def _drawn(
    variants: Sequence[AssetSpec], key: str, models: Mapping[str, ModelVersion]
) -> tuple[AssetSpec, ModelVersion]:
    spec = variants[int(digest(["by chance", key])[:8], 16) % len(variants)]
    return spec, models[spec.model]


def _row(way: str, run: SimulatedRun) -> RoutingRow:
    seconds = sum(run.cpu_seconds.values())
    price = Price(cpu_second=USD_PER_CPU_SECOND)
    usd = price.attempt_usd(seconds, gpu=False)
    return RoutingRow(
        way=way,
        asked=run.asked,
        refused=run.asked - len(run.decided),
        accepted=run.accepted / run.asked,
        first_accepted=run.first_accepted / run.asked,
        images=run.images.total(),
        by_model=dict(run.images),
        cpu_seconds=seconds,
        usd=usd,
        usd_per_accepted=usd / run.accepted if run.accepted else None,
    )


def _calibration(policy: Policy, runs: Sequence[SimulatedRun]) -> tuple[float, int]:
    """Compares the predicted with the actual passing of each stage's first image."""
    turns = [(asset, turn) for run in runs for asset in run.decided for turn in asset.turns]
    predicted = [
        policy.chances.posterior(
            turn.model, asset.spec.kind, asset.spec.labels, after=turn.after
        ).pass_probability(1)
        for asset, turn in turns
    ]
    passed = [turn.passed > 0 and turn.tried == 1 for _, turn in turns]
    return reliability(predicted, passed).ece, len(turns)
