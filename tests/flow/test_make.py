"""One asset through the whole flow in one process, on a real store."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.backends.echo import EchoBackend
from app.check.duplicates import Neighbours
from app.flow.make import make
from app.generate.generate import Generator
from app.image.png import read_png
from app.store.publish import Store, open_store
from app.types import Measure, Pivot, Rule, Size, Status
from tests.values import ROUTE, spec_with

AGREES = Rule(check=Measure.AGREEMENT, at_least=0.5)


class StrictCritic:
    """Agrees with the picture whose number it was told, and with no other."""

    def __init__(self, agrees_from: int) -> None:
        self._agrees_from, self._seen = agrees_from, 0

    def agreement(self, images: NDArray[np.uint8], prompts: Any) -> NDArray[np.float64]:
        self._seen += len(images)
        return np.array([float(self._seen > self._agrees_from)] * len(images))

    def appearance(self, image: NDArray[np.uint8], prompt: str) -> dict[Measure, float]:
        return {}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "blobs").as_uri(), f"sqlite:///{tmp_path / 'catalog.db'}")


def generator_of(store: Store) -> Generator:
    return Generator(route=ROUTE, backend=EchoBackend(), store=store, owner="run-1")


def test_an_accepted_asset_stands_in_the_catalog_with_its_files(store: Store) -> None:
    sizes = (Size(width=64, height=64), Size(width=32, height=32))
    spec = spec_with().replace(sizes=sizes, pivot=Pivot(x=0.5, y=1))
    record = make(spec, generator_of(store), None, Neighbours())
    assert record.status is Status.ACCEPTED
    assert store.catalog.asset("potion.red") == record
    assert record.asset is not None
    for file, size in zip(record.asset.files, sizes, strict=True):
        assert read_png(store.blobs.get(file.digest)).shape == (size.height, size.width, 4)
        assert file.pivot == Pivot(x=0.5, y=1)


def test_provenance_names_the_making_from_seed_to_finishing(store: Store) -> None:
    record = make(spec_with(), generator_of(store), None, Neighbours())
    made = record.provenance
    assert made is not None
    assert record.image is not None
    assert made.parent == record.image.digest
    assert made.model == "echo/1"
    assert made.finishing
    assert made.environment.libraries["numpy"] == np.__version__


def test_the_judge_asks_for_further_seeds_until_one_agrees(store: Store) -> None:
    spec = spec_with(AGREES, candidates=1, attempts=4)
    record = make(spec, generator_of(store), StrictCritic(2), Neighbours())
    assert (record.status, record.attempts) == (Status.ACCEPTED, 3)
    assert record.image is not None
    assert record.image.provenance.request.seed == spec.request.seed + 2


def test_a_plan_without_luck_ends_rejected_with_the_rule(store: Store) -> None:
    spec = spec_with(AGREES, candidates=2, attempts=3)
    record = make(spec, generator_of(store), StrictCritic(99), Neighbours())
    assert (record.status, record.attempts) == (Status.REJECTED, 3)
    assert record.asset is None
    assert any("agreement" in reason for reason in record.reasons)


def test_the_same_spec_has_the_same_version_and_bytes_in_another_store(
    store: Store, tmp_path: Path
) -> None:
    other = open_store((tmp_path / "b2").as_uri(), f"sqlite:///{tmp_path / 'c2.db'}")
    first, second = (make(spec_with(), generator_of(s), None, Neighbours()) for s in (store, other))
    assert first.version == second.version
    assert first.asset == second.asset
