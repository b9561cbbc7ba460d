"""What a replica that follows an alias holds, but for Ray: real engines, a real catalog."""

import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from app.engine.engine import Engine
from app.errors import ModelNotFound
from app.settings import Settings
from app.store.catalog import Catalog
from app.store.pointers import move, pointer
from app.types import ModelVersion, Size
from deployments.args import RendererArgs
from deployments.messages import ImageDone
from deployments.replica.alias import Alias
from deployments.replica.engine_worker import EngineWorker, InputFiles
from deployments.replica.probe import load_probed_engine
from deployments.replica.rollover import EngineWorkers, VersionRollover
from tests.deployments.replica.test_engine_worker import Clock
from tests.deployments.test_serve_yaml import CONFIG
from tests.deployments.workers import SIDE, render_job, rendered

RETRY_SECONDS = 100.0
Story = Callable[["RolloverHarness"], Awaitable[None]]
Find = Callable[[str], ModelVersion]
Damage = Callable[[Path], None]


def draft_args() -> RendererArgs:
    """The draft's numbers of the file, at the tiny model's size."""
    document = yaml.safe_load(CONFIG.read_text())["applications"][0]["args"]["draft"]
    return RendererArgs(**document).replace(size=Size(width=SIDE, height=SIDE))


class RolloverHarness:
    """What one replica holds, but for Ray, and the catalog that it looks at."""

    def __init__(
        self, home: Path, versions: dict[str, ModelVersion], find: Find | None = None
    ) -> None:
        self.settings = Settings(home=home)
        self.catalog = Catalog.open(self.settings.catalog)
        self.versions = dict(versions)
        self.opened: list[str] = []
        self.engines: list[weakref.ref[Engine]] = []
        self.clock = Clock()
        self.alias = Alias("draft@champion", self.settings)
        self.rollover = self.replica(find=find)
        self.workers = EngineWorkers(self.rollover.open_first())

    def replica(self, deployed: str = "draft/1", *, find: Find | None = None) -> VersionRollover:
        """The rollover of a replica that was deployed with this version."""
        return VersionRollover(
            self.alias,
            self.versions[deployed],
            find=find or self.find,
            open_worker=self.open,
            retry_seconds=RETRY_SECONDS,
            clock=self.clock,
        )

    def find(self, reference: str) -> ModelVersion:
        """What the registry would say."""
        if reference not in self.versions:
            raise ModelNotFound(f"no registered model {reference!r}")
        return self.versions[reference]

    def open(self, model: ModelVersion) -> EngineWorker:
        """As a replica does."""
        self.opened.append(model.reference)
        input_files = InputFiles()
        engine = load_probed_engine(draft_args(), model, self.settings, input_files)
        self.engines.append(weakref.ref(engine))
        return EngineWorker(engine, model, capacity=8, stuck_seconds=60, input_files=input_files)

    @property
    def loaded(self) -> int:
        """Engines that take memory now."""
        return sum(engine() is not None for engine in self.engines)

    def point(self, target: str) -> None:
        """Let the alias point there, whatever was measured."""
        present = pointer(self.catalog, "draft", "champion")
        move(self.catalog, "draft", "champion", target, present=present, reason="a test")

    async def follow_alias(self) -> str:
        """One look; returns the version that serves after it."""
        pointed = self.alias.newest_move()
        assert pointed is not None
        await self.rollover.follow_move(self.workers, pointed)
        return self.workers.model.reference

    async def rendered_by(self, request: Any) -> str:
        """The version that renders now, by the provenance of an image."""
        picture = (await rendered(self.workers, render_job(request)))[-1]
        assert isinstance(picture, ImageDone)
        return picture.image.provenance.model


@asynccontextmanager
async def rollover_harness(home: Path, *given: Any) -> AsyncGenerator[RolloverHarness]:
    """A harness whose workers are drained at the end."""
    harness = RolloverHarness(home, *given)
    try:
        yield harness
    finally:
        await harness.workers.drain()
        harness.catalog.close()
