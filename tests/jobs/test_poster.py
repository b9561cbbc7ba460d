"""A poster over a person's own picture, by the bundled model: made, read back, kept, made again."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from app.assets.replay import replay
from app.check.duplicates import Neighbours
from app.digest import digest_bytes
from app.errors import InvalidRequest
from app.flow.make import make
from app.flow.prepare import prepare
from app.generate.generate import Generator
from app.generate.renderer import open_renderer
from app.image.png import read_any_png, read_png
from app.image.resize import cover
from app.plan.expand import expand
from app.plan.read import read_plan
from app.plan.schema import Plan
from app.registry.references import available_models
from app.settings import Settings
from app.store.sweep import sweep
from app.store.verify import verify
from app.types import AssetRecord, AssetSpec, Measure, Size, Status
from jobs.runtime.progress import RunProgress
from jobs.runtime.run import Run, start_run

EXAMPLE = Path(__file__).parents[2] / "jobs" / "plans" / "poster.yaml"
PICTURE = EXAMPLE.parent / "pictures" / "dusk.png"
SIZE = Size(width=400, height=500)


class PosterHarness:
    """One home and a plan whose smaller posters are made in it."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(home=folder / "home")
        self.folder = folder / "desk"
        (self.folder / "pictures").mkdir(parents=True)
        (self.folder / "pictures" / PICTURE.name).write_bytes(PICTURE.read_bytes())
        text = EXAMPLE.read_text().replace("800x1000, 400x500", str(SIZE))
        text = text.replace(
            "{x: 60, y: 60, width: 680, height: 260}", "{x: 20, y: 20, width: 360, height: 120}"
        )
        self.plan = self.folder / "plan.yaml"
        self.plan.write_text(text)
        self.models = available_models(self.settings)

    def read(self) -> Plan:
        return read_plan(self.plan, models=self.models)

    def begin(self, plan: Plan) -> Run:
        prepared = prepare(plan, self.settings, models=self.models)
        return start_run(prepared, self.settings, RunProgress(Console(quiet=True)))

    def generator(self, run: Run) -> Generator:
        (route,) = run.prepared.routes.values()
        return Generator(route, open_renderer(route, self.settings, run.store), run.store, run.id)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> PosterHarness:
    torch.set_num_threads(1)
    return PosterHarness(tmp_path_factory.mktemp("poster"))


@pytest.fixture(scope="module")
def run(harness: PosterHarness) -> Run:
    return harness.begin(harness.read())


@pytest.fixture(scope="module")
def spec(harness: PosterHarness, run: Run) -> AssetSpec:
    return next(expand(run.prepared.plan, harness.models))


@pytest.fixture(scope="module")
def record(harness: PosterHarness, run: Run, spec: AssetSpec) -> AssetRecord:
    return make(spec, harness.generator(run), None, Neighbours())


def test_the_picture_is_kept_and_named_before_any_work(run: Run) -> None:
    data = PICTURE.read_bytes()
    assert run.store.blobs.get(digest_bytes(data)) == data
    document = json.loads(run.store.blobs.get(run.store.catalog.run(run.id).plan_digest))
    assert document["defaults"]["background"] == {
        "file": "pictures/dusk.png",
        "digest": digest_bytes(data),
    }


def test_reading_and_pinning_a_plan_writes_nothing(harness: PosterHarness, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    prepare(read_plan(harness.plan, models=harness.models), settings, models=harness.models)
    assert not settings.home.exists()


def test_the_poster_is_accepted_and_its_text_was_read(record: AssetRecord) -> None:
    assert record.status is Status.ACCEPTED
    assert record.report is not None
    assert record.report.scores[Measure.TEXT_ERROR] == 0


def test_outside_the_text_the_finished_file_is_the_picture(run: Run, record: AssetRecord) -> None:
    assert record.asset is not None
    finished = read_png(run.store.blobs.get(record.asset.files[0].digest))
    picture = cover(read_any_png(PICTURE.read_bytes()), SIZE)
    rows, columns = np.nonzero((finished != picture).any(axis=2))
    assert 20 <= rows.min() < rows.max() < 140
    assert 20 <= columns.min() < columns.max() < 380


def test_it_comes_out_identical_and_the_store_is_whole(
    harness: PosterHarness, run: Run, record: AssetRecord
) -> None:
    sweep(run.store, grace_seconds=0)
    assert verify(run.store) == []
    backend = harness.generator(run).backend
    (answer,) = replay([record], harness.models, run.store, lambda _: backend)
    assert str(answer) == "identical"
    assert record.provenance is not None
    assert record.provenance.request.init_image == digest_bytes(PICTURE.read_bytes())


def test_the_same_plan_again_makes_nothing(
    harness: PosterHarness, record: AssetRecord, spec: AssetSpec
) -> None:
    again = harness.begin(harness.read())
    assert next(expand(again.prepared.plan, harness.models)).digest == spec.digest
    (outcome,) = harness.generator(again).generate([spec.request])
    assert not outcome.made
    assert outcome.image == record.image


def test_a_run_that_is_begun_from_its_own_document_needs_no_file(
    harness: PosterHarness, run: Run
) -> None:
    document = run.store.blobs.get(run.store.catalog.run(run.id).plan_digest)
    again = harness.begin(Plan.model_validate(json.loads(document)))
    assert list(expand(again.prepared.plan, harness.models)) == list(
        expand(run.prepared.plan, harness.models)
    )


def test_a_faulty_picture_leaves_no_run_behind(harness: PosterHarness, tmp_path: Path) -> None:
    other = PosterHarness(tmp_path)
    plan = other.read()
    (other.folder / "pictures" / PICTURE.name).write_bytes(b"something else")
    with pytest.raises(InvalidRequest, match="has changed since the plan was read"):
        other.begin(plan)
    assert not list((tmp_path / "home").glob("blobs/*/*/*"))
    with pytest.raises(InvalidRequest, match=r"plan\.yaml:\d+: defaults\.background: .*not a PNG"):
        other.read()
