"""A replica goes where its alias goes: only to versions that paint, and never back by itself."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.errors import CatalogError, DigestMismatch, RegistryError
from app.registry.promote import promote_version, roll_back_version
from app.registry.references import find_registered
from app.registry.registry import open_registry
from app.settings import Settings
from app.store.catalog import Catalog
from app.store.pointers import pointer
from app.types import ModelVersion, Size
from deployments.replica.alias import Alias
from deployments.replica.engine_worker import EngineWorker, InputFiles
from deployments.replica.probe import load_probed_engine
from deployments.replica.rollover import EngineWorkers, VersionRollover
from tests.deployments.replica.rollover_harness import (
    RETRY_SECONDS,
    Damage,
    RolloverHarness,
    Story,
    draft_args,
    rollover_harness,
)
from tests.deployments.replica.versions import cut_weights, described, spoil_numbers, version_in
from tests.deployments.workers import run
from tests.registries import golden_of, settings_in


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelVersion]:
    """Three versions that paint, by their references."""
    folder = tmp_path_factory.mktemp("models")
    versions = [version_in(folder / str(number), number) for number in (1, 2, 3)]
    return {version.reference: version for version in versions}


@pytest.fixture
def lived(tmp_path: Path, good: dict[str, ModelVersion]) -> Callable[[Story], None]:
    """Run a story with a harness of three good versions."""

    def live(story: Story) -> None:
        async def run_story() -> None:
            async with rollover_harness(tmp_path / "home", good) as harness:
                await story(harness)

        run(run_story)

    return live


def test_only_an_alias_is_followed(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert Alias.read("draft@champion", settings) is not None
    assert [Alias.read(fixed, settings) for fixed in ("starter", "draft/7")] == [None, None]


def test_a_promotion_and_a_rollback_of_the_registry_are_followed(
    tmp_path: Path, good: dict[str, ModelVersion], request_of: Any
) -> None:
    settings = settings_in(tmp_path / "home")
    registry, catalog = open_registry(settings), Catalog.open(settings.catalog)
    for model in good.values():
        version = registry.register(model, role="draft")
        golden = {"reference": version.reference, "weights_digest": model.weights_digest}
        registry.record(golden_of(**golden), {})
    first, second, _ = (registry.version(reference) for reference in good)

    def move_on() -> None:
        standing = pointer(catalog, "draft", "champion")
        promote_version(catalog, second, first, standing, mirror=registry.mirror)

    async def story() -> None:
        def find(reference: str) -> ModelVersion:
            return find_registered(reference, settings).model

        async with rollover_harness(settings.home, good, find) as harness:
            seen = [await harness.rendered_by(request_of())]
            move_on()
            seen.append(await harness.rendered_by(request_of()))  # nobody has looked yet
            await harness.follow_alias()
            seen.append(await harness.rendered_by(request_of()))
            roll_back_version(catalog, "draft", mirror=registry.mirror)
            await harness.follow_alias()
            seen.append(await harness.rendered_by(request_of()))
            assert seen == ["draft/1", "draft/1", "draft/2", "draft/1"]

    promote_version(catalog, first, None, None, mirror=registry.mirror)
    run(story)


def test_what_was_dealt_with_is_not_looked_at_again(lived: Any) -> None:
    async def story(harness: RolloverHarness) -> None:
        harness.point("draft/2")
        assert [await harness.follow_alias() for _ in range(3)] == ["draft/2"] * 3
        assert harness.opened == ["draft/1", "draft/2"]
        harness.point("draft/3")
        harness.point("draft/2")  # there and back between two looks
        assert await harness.follow_alias() == "draft/2"
        assert harness.opened == ["draft/1", "draft/2"]

    lived(story)


def test_no_more_is_loaded_than_what_paints(lived: Any, request_of: Any) -> None:
    async def story(harness: RolloverHarness) -> None:
        for target in ("draft/2", "draft/1", "draft/3"):
            await harness.rendered_by(request_of())
            harness.point(target)
            await harness.follow_alias()
            assert harness.loaded == 1

    lived(story)


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("damage", "changes", "reason"),
    [
        (gone, {}, "its files are missing"),
        (cut_weights, {}, "its files are not those that were registered"),
        (spoil_numbers, {}, "its files are not those that were registered"),
        (None, {"latent_space": "another"}, "it does not fit this role"),
        (None, {"sizes": (Size(width=32, height=32),)}, "it does not fit this role"),
        (None, {"capabilities": ("text-to-image",)}, "it does not fit this role"),
        (None, {"family": "stablediffusion3"}, "it does not fit this role"),
    ],
)
def test_a_version_that_is_not_what_it_should_be_leaves_the_old_one(
    tmp_path: Path, lived: Any, request_of: Any,
    damage: Damage | None, changes: dict[str, Any], reason: str,
) -> None:  # fmt: skip
    folder = tmp_path / "4"

    async def story(harness: RolloverHarness) -> None:
        harness.versions["draft/4"] = version_in(folder, 4, **changes)
        if damage:
            damage(folder)
        harness.point("draft/4")
        assert await harness.follow_alias() == await harness.rendered_by(request_of()) == "draft/1"
        refused = harness.rollover.refused
        assert refused is not None
        assert (refused.model, refused.reason) == ("draft/4", reason)

    lived(story)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(cut_weights, "it does not load"), (spoil_numbers, "it does not render")],
)
def test_a_version_that_was_registered_broken_leaves_the_old_one(
    tmp_path: Path, lived: Any, request_of: Any, damage: Damage, reason: str
) -> None:
    async def story(harness: RolloverHarness) -> None:
        version_in(tmp_path / "4", 4)
        damage(tmp_path / "4")
        harness.versions["draft/4"] = described(tmp_path / "4", 4)
        harness.point("draft/4")
        assert await harness.follow_alias() == await harness.rendered_by(request_of()) == "draft/1"
        refused = harness.rollover.refused
        assert refused is not None
        assert (refused.model, refused.reason) == ("draft/4", reason)

    lived(story)


def test_what_was_refused_is_tried_again_after_the_pause_or_when_the_alias_moves(
    tmp_path: Path, lived: Any
) -> None:
    folder, aside = tmp_path / "4", tmp_path / "aside"

    async def story(harness: RolloverHarness) -> None:
        harness.versions["draft/4"] = version_in(folder, 4)
        folder.rename(aside)
        harness.point("draft/4")
        tried = []
        for seconds in (0, 1, RETRY_SECONDS - 2):
            harness.clock.now += seconds
            assert await harness.follow_alias() == "draft/1"
            tried.append(harness.opened.count("draft/4"))
        assert tried == [1, 1, 1]
        aside.rename(folder)
        assert await harness.follow_alias() == "draft/1"
        harness.clock.now += 1
        assert await harness.follow_alias() == "draft/4"
        assert harness.rollover.refused is None
        harness.point("draft/9")
        assert await harness.follow_alias() == "draft/4"
        harness.point("draft/1")
        assert await harness.follow_alias() == "draft/1"
        assert harness.rollover.refused is None

    lived(story)


def test_a_version_that_nobody_wants_any_more_when_it_is_ready_is_not_taken(
    lived: Any, good: dict[str, ModelVersion]
) -> None:
    async def story(harness: RolloverHarness) -> None:
        harness.point("draft/2")
        late = harness.alias.newest_move()
        assert late is not None
        harness.point("draft/3")
        await harness.rollover.follow_move(harness.workers, late)
        assert harness.workers.model == good["draft/1"]
        assert await harness.follow_alias() == "draft/3"

    lived(story)


def test_a_registry_that_does_not_answer_is_asked_again(
    tmp_path: Path, good: dict[str, ModelVersion]
) -> None:
    down = {"draft/2"}

    def find(reference: str) -> ModelVersion:
        if reference in down:
            raise RegistryError("the model registry failed")
        return good[reference]

    async def story() -> None:
        async with rollover_harness(tmp_path / "home", good, find) as harness:
            harness.point("draft/2")
            with pytest.raises(RegistryError):
                await harness.follow_alias()
            assert harness.workers.model == good["draft/1"]
            assert harness.replica(find=find).open_first().model == good["draft/1"]
            down.clear()
            assert await harness.follow_alias() == "draft/2"

    run(story)


def test_who_begins_later_begins_with_the_version_of_now(lived: Any) -> None:
    async def story(harness: RolloverHarness) -> None:
        harness.point("draft/2")
        harness.point("draft/3")
        begun = harness.replica()
        worker = begun.open_first()
        assert worker.model.reference == "draft/3"
        await begun.follow_move(
            EngineWorkers(worker), harness.alias.newest_move()
        )  # nothing is left to be done
        assert harness.opened == ["draft/1", "draft/3"]
        await worker.drain()

    lived(story)


@pytest.mark.parametrize("deployed", ["draft/1", "draft/4"])
def test_who_begins_while_the_newest_is_broken_begins_with_the_one_before(
    tmp_path: Path, lived: Any, deployed: str
) -> None:
    async def story(harness: RolloverHarness) -> None:
        harness.versions["draft/4"] = version_in(tmp_path / "4", 4)
        cut_weights(tmp_path / "4")
        harness.point("draft/2")
        harness.point("draft/4")
        begun = harness.replica(deployed)
        worker = begun.open_first()
        assert worker.model.reference == "draft/2"
        assert begun.refused is not None
        assert begun.refused.model == "draft/4"
        tried = list(harness.opened)
        await begun.follow_move(EngineWorkers(worker), harness.alias.newest_move())
        assert harness.opened == tried
        await worker.drain()

    lived(story)


def test_who_begins_where_nothing_paints_says_why(tmp_path: Path, lived: Any) -> None:
    async def story(harness: RolloverHarness) -> None:
        harness.versions["draft/4"] = version_in(tmp_path / "4", 4)
        cut_weights(tmp_path / "4")
        with pytest.raises(DigestMismatch, match="draft/4"):
            harness.replica("draft/4").open_first()

    lived(story)


def test_a_catalog_that_cannot_be_read_changes_nothing(
    tmp_path: Path, good: dict[str, ModelVersion]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "catalog.db").write_text("no database")
    alias = Alias("draft@champion", Settings(home=home))
    with pytest.raises(CatalogError):
        alias.newest_move()

    async def story() -> None:
        def open_worker(model: ModelVersion) -> EngineWorker:
            engine = load_probed_engine(draft_args(), model, Settings(home=home), InputFiles())
            return EngineWorker(engine, model, capacity=8, stuck_seconds=60)

        rollover = VersionRollover(
            alias, good["draft/1"], find=good.__getitem__, open_worker=open_worker, retry_seconds=1
        )
        worker = rollover.open_first()
        assert worker.model == good["draft/1"]
        await worker.drain()

    run(story)
