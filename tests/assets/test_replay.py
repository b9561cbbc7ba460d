"""Replay: the same bytes again, or the field that is to blame, whichever it is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.assets.replay import ReplayResult, ReplayVerdict, replay
from app.check.duplicates import Neighbours
from app.digest import Json
from app.engine.engine import Engine
from app.engine.results import FailedRequest, RenderedImage
from app.flow.make import make
from app.generate.generate import Generator
from app.generate.provenance import flatten_provenance
from app.models.bundled import ECHO
from app.models.sd3 import Sd3Pipeline
from app.store.publish import Store, open_store
from app.types import AssetRecord, Provenance, Route, Size
from tests.engine.engines import LENGTH, engine_of
from tests.values import spec_with

TINY = ECHO.replace(name="tiny", family="sd3")
ROUTE = Route(backend="engine", model=TINY, reason="the test names it")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "blobs").as_uri(), f"sqlite:///{tmp_path / 'catalog.db'}")


@pytest.fixture
def engine(stock: Any) -> Engine:
    return engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH), 8)


@pytest.fixture
def record(store: Store, engine: Engine) -> AssetRecord:
    spec = spec_with(candidates=1)
    request = spec.request.replace(width=16, height=16, num_inference_steps=3, guidance_scale=2.0)
    spec = spec.replace(request=request, sizes=(Size(width=16, height=16), Size(width=8, height=8)))
    made = make(spec, Generator(ROUTE, engine, store, "run-1"), None, Neighbours())
    assert made.asset is not None
    return made


def replayed(record: AssetRecord, store: Store, backend: Any, **options: Any) -> ReplayResult:
    (answer,) = replay([record], {"tiny": TINY}, store, lambda route: backend, **options)
    return answer


def test_an_untouched_asset_comes_out_identical(
    record: AssetRecord, store: Store, engine: Engine
) -> None:
    answer = replayed(record, store, engine)
    assert (answer.sameness, answer.changes, str(answer)) == (
        ReplayVerdict.IDENTICAL,
        (),
        "identical",
    )


NAMED = {"request.tier": "draft", "request.sampler": "dpmpp_2m"}


def leaves(value: Json, name: str = "") -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value


def other(name: str, value: Json) -> Json:
    """Another value that the field's type allows."""
    if name in NAMED:
        return NAMED[name]
    if name.endswith("strength"):
        return 0.5
    if name.endswith("layers"):
        return [{"text": "sale"}]
    if value is None or (isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)):
        return "f" * 64
    if isinstance(value, list):
        return ["other"] if name in ("finishing", "request.tags.labels") else [1]
    return value + "x" if isinstance(value, str) else value + 1  # type: ignore[operator]


def mutated(provenance: Provenance, name: str) -> Provenance:
    document = provenance.as_json()
    *path, last = name.split(".") if "libraries" not in name else name.split(".", 2)
    inner: Any = document
    for key in path:
        inner = inner[key]
    inner[last] = other(name, inner[last])
    return Provenance.model_validate(document)


def test_every_field_of_the_provenance_that_was_altered_is_named(
    record: AssetRecord, store: Store, engine: Engine
) -> None:
    assert record.provenance is not None
    names = [name for name, _ in leaves(record.provenance.as_json())]
    assert len(names) > 35
    for name in names:
        altered = record.replace(provenance=mutated(record.provenance, name))
        answer = replayed(altered, store, engine)
        assert name in [change.field for change in answer.changes], name
        assert f"{name} changed" in str(answer)


def test_a_field_that_changed_since_is_named_with_both_values(
    record: AssetRecord, store: Store, stock: Any
) -> None:
    fast = engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH), 16, mode="fast")
    answer = replayed(record, store, fast)
    changes = {change.field: (change.then, change.now) for change in answer.changes}
    assert changes == {
        "engine.mode": ('"reproducible"', '"fast"'),
        "engine.row_buckets": ("[8]", "[2]"),
    }
    assert answer.sameness in (ReplayVerdict.IDENTICAL, ReplayVerdict.WITHIN_TOLERANCE)


def test_other_weights_under_the_same_name_differ_and_are_named(
    record: AssetRecord, store: Store, engine: Engine
) -> None:
    from app.models.random_weights import Sd3Shape, random_sd3

    retrained = TINY.replace(version="2", weights_digest="e" * 64)
    backend = engine_of(Sd3Pipeline(random_sd3(Sd3Shape(), seed=1), max_sequence_length=LENGTH), 8)
    (answer,) = replay([record], {"tiny": retrained}, store, lambda route: backend)
    assert answer.sameness is ReplayVerdict.DIFFERS
    assert {"model", "weights_digest"} <= {change.field for change in answer.changes}
    assert "because" in str(answer)
    assert answer.difference > 1


class Brighter:
    """Renders as the engine does, one level brighter: what a new kernel might do."""

    def __init__(self, engine: Engine, levels: int) -> None:
        self._engine, self._levels = engine, levels

    def generate(self, requests: Any) -> Iterator[RenderedImage | FailedRequest]:
        for outcome in self._engine.generate(requests):
            assert isinstance(outcome, RenderedImage)
            pixels = np.clip(outcome.pixels.astype(int) + self._levels, 0, 255).astype(np.uint8)
            yield RenderedImage(outcome.request, pixels, outcome.seconds,
                           outcome.prompt_embedding_digest,
                           outcome.noise_schedule, outcome.engine)  # fmt: skip


def test_small_differences_are_within_tolerance_and_large_ones_unexplained(
    record: AssetRecord, store: Store, engine: Engine
) -> None:
    near = replayed(record, store, Brighter(engine, 1), tolerance=2.0)
    assert near.sameness is ReplayVerdict.WITHIN_TOLERANCE
    assert 0 < near.difference <= 2
    far = replayed(record, store, Brighter(engine, 40))
    assert far.sameness is ReplayVerdict.DIFFERS
    assert "provenance does not record" in str(far)


def test_a_model_that_is_gone_and_a_blob_that_rotted_are_told_per_asset(
    record: AssetRecord, store: Store, engine: Engine, tmp_path: Path
) -> None:
    (gone,) = replay([record], {}, store, lambda route: engine)
    assert "no model tiny" in gone.error
    assert record.image is not None
    for blob in (tmp_path / "blobs").rglob(record.image.digest):
        blob.chmod(0o644)
        blob.write_bytes(b"rot")
    rotten = replayed(record, store, engine)
    assert rotten.sameness is ReplayVerdict.DIFFERS
    assert record.image.digest[:12] in rotten.error


def test_flat_names_are_what_a_person_would_write(record: AssetRecord) -> None:
    assert record.provenance is not None
    assert {"request.seed", "engine.threads", "environment.libraries.torch"} <= set(
        flatten_provenance(record.provenance)
    )
