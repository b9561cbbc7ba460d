"""The player: makes assets in this process by the verbs of a run, and counts what each took."""

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
from app.generate.renderer import driver_of
from app.image.init_image import read_init_image
from app.models.bundled import critic_folder_of
from app.refine.attempts import Refiner
from app.route.by_name import way_to
from app.route.cascade import Rung, Way
from app.route.router import Choice, asset_key, routes_of
from app.settings import Settings
from app.store.publish import Store, open_store
from app.types import AssetRecord, AssetSpec, ModelVersion, Status, version_of
from jobs.runtime.batches import Decided
from jobs.runtime.summary import Fates
from jobs.runtime.waves import Item, decided

Chooser = Callable[[tuple[AssetSpec, ...], str], Choice | None]
"""Which way an asset goes, of the specs that can be made and its key; None: it cannot be made."""


@dataclass(slots=True)
class Played:
    """What one way of choosing came to."""

    asked: int
    decided: list[Decided] = field(default_factory=list)
    images: Counter[str] = field(default_factory=Counter)
    """By the model that made them."""
    cpu_seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def accepted(self) -> int:
        """Assets that passed."""
        return sum(one.decision.status is Status.ACCEPTED for one in self.decided)

    @property
    def first_accepted(self) -> int:
        """Assets whose first picture passed."""
        passed = (one for one in self.decided if one.decision.status is Status.ACCEPTED)
        return sum(one.attempts == one.spec.candidates for one in passed)

    @property
    def records(self) -> Iterator[AssetRecord]:
        """The decided assets as far as they are learned from."""
        for one in self.decided:
            yield AssetRecord(
                key=one.key, name=one.spec.name, version=version_of(one.key),
                status=one.decision.status or Status.FAILED, spec=one.spec, model=one.spec.model,
                report=one.decision.report, reasons=one.decision.reasons, image=None, asset=None,
                provenance=None, attempts=one.attempts, run_id="bench", turns=one.turns,
                retries=one.retries,
            )  # fmt: skip


class Player:
    """Keeps every model loaded; each game has a store of its own, so that nothing is found made."""

    def __init__(self, models: Mapping[str, ModelVersion], folder: Path) -> None:
        self.models = models
        self._folder, self._games = folder, count()
        settings = Settings(home=folder / "home")
        self._engines = {
            name: driver_of(model, settings, mode=settings.engine_mode, images=self._picture)
            for name, model in models.items()
        }
        self._critics = {name: _critic(model) for name, model in models.items()}
        self._store: Store | None = None

    def play(
        self,
        assets: Sequence[tuple[AssetSpec, ...]],
        choose: Chooser,
        *,
        seen: Callable[[int], None] = lambda _: None,
        refiner: Refiner | None = None,
    ) -> Played:
        """Make the assets, each by the way that is chosen; `seen` is told of decided ones."""
        played = Played(len(assets))
        pending = list(self._items(assets, choose, refiner))
        seen(len(assets) - len(pending))
        home = self._folder / f"game-{next(self._games)}"
        home.mkdir()
        self._store = open_store((home / "blobs").as_uri(), f"sqlite:///{home / 'catalog.db'}")
        while pending:
            self._round(pending, played)
            played.decided += decided(pending, Neighbours(), Fates(len(assets)))
            seen(sum(item.ended for item in pending))
            pending = [item for item in pending if not item.ended]
        self._store.catalog.close()
        return played

    def _items(
        self,
        assets: Iterable[tuple[AssetSpec, ...]],
        choose: Chooser,
        refiner: Refiner | None,
    ) -> Iterator[Item]:
        for index, ways in enumerate(assets):
            key = asset_key(ways, self.models)
            possible = tuple(one for one in ways if one.model in routes_of(ways, self.models)[0])
            choice = choose(possible, key)
            if choice is not None:
                yield Item(index, ways, refiner=refiner, key=key, choice=choice)

    def _round(self, pending: Sequence[Item], played: Played) -> None:
        """One round of all of them, model by model; CPU time is what this process took for it."""
        assert self._store is not None
        by_model: defaultdict[str, list[Item]] = defaultdict(list)
        for item in pending:
            by_model[item.spec.model].append(item)
        for name, items in sorted(by_model.items()):
            asked = [item.asked_now for item in items]
            generator = Generator(
                route=way_to(self.models[name]),
                backend=self._engines[name],
                store=self._store,
                owner="bench",
                keeps_latents=any(item.goes_on for item in items),
            )
            began = process_time()
            outcomes = iter(generator.generate([one for some in asked for one in some]))
            played.cpu_seconds[name] += process_time() - began
            played.images[name] += sum(map(len, asked))
            for item, requests in zip(items, asked, strict=True):
                made = [next(outcomes) for _ in requests]
                item.candidates += examine(made, item.spec, self._store, self._critics[name])

    def _picture(self, digest: str) -> Start:
        assert self._store is not None
        return read_init_image(self._store.blobs.get(digest))


def straight(spec: AssetSpec, model: ModelVersion) -> Choice:
    """The way to one model alone."""
    rung = Rung(name=spec.model, model=model.reference, images=spec.attempts)
    way = Way(
        rungs=(rung,), chance=0, least=0, images=spec.candidates, seconds=None, usd=None,
        usd_per_accepted=None, seconds_per_accepted=None,
    )  # fmt: skip
    return Choice(way, "")


def _critic(model: ModelVersion) -> Critic | None:
    folder = critic_folder_of(model)
    return Critic.load(folder) if folder else None
