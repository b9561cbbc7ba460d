"""Drift and distance at the door: a run against those before it, a model against another."""

from pathlib import Path

import pytest

from app.accept.outputs import latest_outputs, run_and_baseline
from app.errors import CatalogError, InvalidRequest
from app.image.png import png_bytes
from app.settings import Settings
from app.store.publish import Store, begin_run, open_store, publish_assets, publish_images
from app.types import QualityReport, Verdict
from jobs.train.starter.drawings import Label, draw
from tests.accept.simulated_world import SimulatedWorld
from tests.cli.test_main import home, run, run_json
from tests.store.values import image_of, record_of

__all__ = ["home"]
EARLIER, NOW = 110, 30


@pytest.fixture
def store(home: Path) -> Store:
    """Two runs of one plan, the second by another model, and one of another plan between them."""
    store = open_store(Settings().blobs, Settings().catalog)
    made(store, "run-1", "icons", EARLIER, SimulatedWorld(1), model="painter/1")
    made(store, "run-2", "posters", 3, SimulatedWorld(2), model="setter/1")
    made(store, "run-3", "icons", NOW, SimulatedWorld(1, moved=0.3), model="painter/2")
    return store


def made(
    store: Store, run_id: str, plan: str, count: int, world: SimulatedWorld, *, model: str
) -> None:
    begin_run(store, run_id, plan=plan, document={"of": run_id})
    images, records = [], []
    picture = png_bytes(draw(Label("gem", "red", "flat"), 7), text={})
    for at, simulated in enumerate(world.pictures(count, part=run_id)):
        # A picture each, or the catalog would take them for one.
        seed, data = (
            int(run_id[-1]) * 1000 + at,
            picture if at == 0 else b"%s %d" % (run_id.encode(), at),
        )
        image = image_of(seed, data, model=model)
        report = QualityReport(scores=simulated.scores, verdict=Verdict.ACCEPT)
        record = record_of(image, b"file", name=f"{run_id}-{at}", run_id=run_id)
        images.append((image, data))
        records.append((record.replace(report=report), [b"file"]))
    publish_images(store, images, owner=run_id)
    publish_assets(store, records)


def test_a_run_is_held_against_the_earlier_ones_of_its_plan(store: Store) -> None:
    before, own = run_and_baseline(store, "run-3")
    assert (len(before), len(own)) == (EARLIER, NOW)
    assert "redness" in own[0]
    assert set(own[1]) == set(before[1])
    answer = run_json("checks", "drift", code=1)
    assert answer["run_id"] == "run-3"
    assert answer["alert"]["trouble"] == "drift"
    assert (answer["report"]["reference"], answer["report"]["images"]) == (EARLIER, NOW)
    left = {measure["measure"]: measure["left_at"] for measure in answer["report"]["wanders"]}
    assert 1 <= left["agreement"] <= NOW
    assert "drifts from earlier runs" in run("checks", "drift", "run-3", code=1)


def test_too_few_earlier_pictures_are_told(store: Store) -> None:
    with pytest.raises(InvalidRequest, match="at least 100"):
        run_and_baseline(store, "run-2")
    with pytest.raises(CatalogError, match="no run"):
        run_and_baseline(store, "run-9")
    assert "neither a run nor" in run_json("checks", "distance", "run-1", "x", code=2)["message"]


def test_two_models_lie_apart_and_a_run_is_its_models(store: Store) -> None:
    assert latest_outputs(store, "painter/1") == latest_outputs(store, "run-1")
    answer = run_json("checks", "distance", "painter/1", "painter/2")
    assert (answer["first"], answer["second"]) == (EARLIER, NOW)
    assert answer["distance"] > answer["by_chance"]
    assert answer["chance"] < 0.01
    assert "random halves" in run("checks", "distance", "run-1", "run-3")
