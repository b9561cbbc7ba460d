"""Makes assets in this process with the functions of a run, and counts what each took."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import process_time

from app.check.agreement import Critic
from app.check.duplicates import Neighbours
from app.engine.pipeline import Start
from app.flow.examine import examine
from app.generate.generate import Generator
from app.generate.renderer import load_engine
from app.image.init_image import read_init_image
from app.models.bundled import critic_folder_of
from app.refine.attempts import Refiner
from app.route.by_name import route_to
from app.route.cascade import CascadePlan, Stage
from app.route.router import RouteChoice, asset_key, routes_of
from app.settings import Settings
from app.store.publish import Store, open_store
from app.types import AssetRecord, AssetSpec, ModelVersion, Status, version_of
from app.types.candidate import DecidedAsset
from jobs.runtime.decisions import decide_items
from jobs.runtime.summary import Outcomes
from jobs.runtime.waves import Item, ItemState

RouteChooser = Callable[[tuple[AssetSpec, ...], str], RouteChoice | None]
"""Chooses a route from the specs that can be made and the asset's key; None: it cannot be made."""


@dataclass(slots=True)
class SimulatedRun:
    """The result of one strategy."""

    asked: int
    decided: list[DecidedAsset] = field(default_factory=list)
    images: Counter[str] = field(default_factory=Counter)
    """By the model that made them."""
    cpu_seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def accepted(self) -> int:
        """Returns the number of assets that passed."""
        return sum(asset.decision.status is Status.ACCEPTED for asset in self.decided)

    @property
    def first_accepted(self) -> int:
        """Returns the number of assets whose first image passed."""
        passed = (asset for asset in self.decided if asset.decision.status is Status.ACCEPTED)
        return sum(asset.attempts == asset.spec.candidates for asset in passed)

    @property
    def records(self) -> Iterator[AssetRecord]:
        """Yields the decided assets with the fields that are learned from."""
        for item in self.decided:
            yield AssetRecord(
                key=item.key, name=item.spec.name, version=version_of(item.key),
                status=item.decision.status or Status.FAILED, spec=item.spec, model=item.spec.model,
                report=item.decision.report, reasons=item.decision.reasons, image=None, asset=None,
                provenance=None, attempts=item.attempts, run_id="bench", turns=item.turns,
                retries=item.retries,
            )  # fmt: skip


class RunSimulator:
    """Keeps every model loaded; each run has a store of its own, so that no image is reused."""

    def __init__(self, models: Mapping[str, ModelVersion], folder: Path) -> None:
        self.models = models
        self._folder, self._runs = folder, count()
        settings = Settings(home=folder / "home")
        self._engines = {
            name: load_engine(model, settings, mode=settings.engine_mode, images=self._image)
            for name, model in models.items()
        }
        self._critics = {name: _critic(model) for name, model in models.items()}
        self._store: Store | None = None

    def run(
        self,
        assets: Sequence[tuple[AssetSpec, ...]],
        choose: RouteChooser,
        *,
        seen: Callable[[int], None] = lambda _: None,
        refiner: Refiner | None = None,
    ) -> SimulatedRun:
        """Makes the assets by the chosen routes; calls `seen` with the number of decided ones."""
        run = SimulatedRun(len(assets))
        pending = list(self._items(assets, choose, refiner))
        seen(len(assets) - len(pending))
        home = self._folder / f"run-{next(self._runs)}"
        home.mkdir()
        self._store = open_store((home / "blobs").as_uri(), f"sqlite:///{home / 'catalog.db'}")
        while pending:
            self._round(pending, run)
            run.decided += decide_items(pending, Neighbours(), Outcomes(len(assets)))
            undecided = [item for item in pending if item.state is not ItemState.ENDED]
            seen(len(pending) - len(undecided))
            pending = undecided
        self._store.catalog.close()
        return run

    def _items(
        self,
        assets: Iterable[tuple[AssetSpec, ...]],
        choose: RouteChooser,
        refiner: Refiner | None,
    ) -> Iterator[Item]:
        for index, variants in enumerate(assets):
            key = asset_key(variants, self.models)
            possible = tuple(
                spec for spec in variants if spec.model in routes_of(variants, self.models)[0]
            )
            choice = choose(possible, key)
            if choice is not None:
                yield Item(index, variants, refiner=refiner, key=key, choice=choice)

    def _round(self, pending: Sequence[Item], run: SimulatedRun) -> None:
        """Runs one round of all items, model by model; CPU time is that of this process."""
        assert self._store is not None
        by_model: defaultdict[str, list[Item]] = defaultdict(list)
        for item in pending:
            by_model[item.spec.model].append(item)
        for name, items in sorted(by_model.items()):
            asked = [item.next_requests for item in items]
            generator = Generator(
                route=route_to(self.models[name]),
                backend=self._engines[name],
                store=self._store,
                owner="bench",
                keeps_latents=any(item.continues for item in items),
            )
            began = process_time()
            outcomes = iter(generator.generate([request for some in asked for request in some]))
            run.cpu_seconds[name] += process_time() - began
            run.images[name] += sum(map(len, asked))
            for item, requests in zip(items, asked, strict=True):
                made = [next(outcomes) for _ in requests]
                item.candidates += examine(made, item.spec, self._store, self._critics[name])

    def _image(self, digest: str) -> Start:
        assert self._store is not None
        return read_init_image(self._store.blobs.get(digest))


def direct_plan(spec: AssetSpec, model: ModelVersion) -> RouteChoice:
    """Returns the route to one model alone."""
    stage = Stage(name=spec.model, model=model.reference, images=spec.attempts)
    plan = CascadePlan(
        rungs=(stage,), chance=0, least=0, images=spec.candidates, seconds=None, usd=None,
        usd_per_accepted=None, seconds_per_accepted=None,
    )  # fmt: skip
    return RouteChoice(plan, "")


def _critic(model: ModelVersion) -> Critic | None:
    folder = critic_folder_of(model)
    return Critic.load(folder) if folder else None
