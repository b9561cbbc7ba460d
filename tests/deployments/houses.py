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
from deployments.args import PainterArgs
from deployments.messages import Picture
from deployments.replica.alias import Alias
from deployments.replica.engine_worker import Studio
from deployments.replica.inputs import Album
from deployments.replica.probe import engine_of
from deployments.replica.rollover import Studios, Succession
from tests.deployments.studios import SIDE, commission, painted
from tests.deployments.test_serve_yaml import CONFIG
from tests.deployments.test_studio import Clock

RETRY_SECONDS = 100.0
Story = Callable[["House"], Awaitable[None]]
Find = Callable[[str], ModelVersion]
Damage = Callable[[Path], None]


def draft_args() -> PainterArgs:
    """The draft's numbers of the file, at the tiny model's size."""
    document = yaml.safe_load(CONFIG.read_text())["applications"][0]["args"]["draft"]
    return PainterArgs(**document).replace(size=Size(width=SIDE, height=SIDE))


class House:
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
        self.succession = self.replica(find=find)
        self.studios = Studios(self.succession.begin())

    def replica(self, deployed: str = "draft/1", *, find: Find | None = None) -> Succession:
        """What a replica of this house goes by, deployed while the alias was there."""
        return Succession(
            self.alias,
            self.versions[deployed],
            find=find or self.find,
            open_studio=self.open,
            retry_seconds=RETRY_SECONDS,
            clock=self.clock,
        )

    def find(self, reference: str) -> ModelVersion:
        """What the registry would say."""
        if reference not in self.versions:
            raise ModelNotFound(f"no registered model stands under {reference!r}")
        return self.versions[reference]

    def open(self, model: ModelVersion) -> Studio:
        """As a replica does."""
        self.opened.append(model.reference)
        album = Album()
        engine = engine_of(draft_args(), model, self.settings, album)
        self.engines.append(weakref.ref(engine))
        return Studio(engine, model, capacity=8, stuck_seconds=60, album=album)

    @property
    def loaded(self) -> int:
        """Engines that take memory now."""
        return sum(engine() is not None for engine in self.engines)

    def point(self, target: str) -> None:
        """Let the alias point there, whatever was measured."""
        present = pointer(self.catalog, "draft", "champion")
        move(self.catalog, "draft", "champion", target, present=present, reason="a test")

    async def look(self) -> str:
        """One look; returns the version that serves after it."""
        pointed = self.alias.now()
        assert pointed is not None
        await self.succession.look(self.studios, pointed)
        return self.studios.model.reference

    async def painter(self, request: Any) -> str:
        """Who paints a picture now, as the picture says."""
        picture = (await painted(self.studios, commission(request)))[-1]
        assert isinstance(picture, Picture)
        return picture.painted.provenance.model


@asynccontextmanager
async def house(home: Path, *given: Any) -> AsyncGenerator[House]:
    """A house that is left in order."""
    one = House(home, *given)
    try:
        yield one
    finally:
        await one.studios.drain()
        one.catalog.close()
