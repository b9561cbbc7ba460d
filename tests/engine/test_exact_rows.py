"""Row counts are used only where their bits were compared, whatever the processor's kernels do."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.engine import Engine
from app.engine.exact_rows import exact_rows
from app.engine.pipeline import Rows
from app.engine.results import RenderedImage
from app.errors import OutOfMemory
from app.models.bundled import FOLDERS, bundled_models
from app.models.cost_curves import exact_rows_of
from app.models.load import load
from app.models.sd3 import Sd3Pipeline
from app.types import GenerationRequest
from tests.engine.engines import LENGTH, engine_of, render_all


class Kernels(Sd3Pipeline):
    """A processor whose sums differ between classes of row counts, and perhaps by position."""

    def __init__(self, stock: Any, *classes: Sequence[int], moved: float = 0.0) -> None:
        super().__init__(stock, max_sequence_length=LENGTH)
        self._kernel = {rows: kernel for kernel, counts in enumerate(classes) for rows in counts}
        self._moved = moved
        self.passes: list[int] = []

    def predict(self, rows: Rows) -> torch.Tensor:
        """Each row alone at one size, so that only the planted differences are left."""
        count = len(rows.latents)
        self.passes.append(count)
        twice = [super(Kernels, self).predict(_twice(rows, index))[:1] for index in range(count)]
        slots = torch.arange(count).reshape(-1, 1, 1, 1) * self._moved
        return torch.cat(twice) + 0.01 * self._kernel[count] + slots


def _twice(rows: Rows, index: int) -> Rows:
    pick = [index, index]
    return replace(
        rows, latents=rows.latents[pick], timesteps=rows.timesteps[pick],
        tokens=rows.tokens[pick], pooled=rows.pooled[pick],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("classes", "proven"),
    [
        (((2, 4, 8, 16),), (2, 4, 8, 16)),
        (((2,), (4, 8, 16)), (4, 8, 16)),
        (((2, 4), (8,), (16,)), (16,)),
        (((2, 8, 16), (4,)), (2, 8, 16)),
    ],
)
def test_the_counts_of_the_budgets_own_class_are_proven(
    stock: Any, classes: tuple[tuple[int, ...], ...], proven: tuple[int, ...]
) -> None:
    assert exact_rows(Kernels(stock, *classes), 16, 16, 16) == proven


def test_where_position_matters_nothing_is_proven(stock: Any) -> None:
    assert exact_rows(Kernels(stock, (2, 4, 8), moved=1e-3), 16, 16, 8) == ()


def test_where_the_budget_does_not_fit_nothing_is_proven(stock: Any) -> None:
    class Full(Kernels):
        def predict(self, rows: Rows) -> torch.Tensor:
            raise OutOfMemory("full")

    assert exact_rows(Full(stock), 16, 16, 8) == ()


def test_exact_mode_keeps_to_the_proven_counts_and_records_them(
    stock: Any, request_of: Any
) -> None:
    pipeline = Kernels(stock, (2, 4), (8, 16))
    batch = [request_of(seed=seed) for seed in range(6)]
    full = render_all(engine_of(pipeline, 16), batch)
    engine = engine_of(pipeline, 16, mode="exact")
    engine.submit(batch[0])
    engine.step()
    pipeline.passes.clear()
    alone = next(engine.generate([]))
    assert {*pipeline.passes} == {8}
    assert isinstance(alone, RenderedImage)
    assert alone.engine is not None
    assert alone.engine.exact_rows == (8, 16)
    assert engine.exact_rows == {(16, 16): (8, 16)}
    together = render_all(engine, batch[1:]) | {batch[0].id: alone}
    assert all(np.array_equal(together[name].pixels, full[name].pixels) for name in full)


def test_without_a_smaller_proven_count_exact_is_reproducible(stock: Any, request_of: Any) -> None:
    pipeline = Kernels(stock, (2,), (4,), (8,))
    engine = engine_of(pipeline, 8, mode="exact")
    (outcome,) = engine.generate([request_of(guidance_scale=0.0)])
    assert isinstance(outcome, RenderedImage)
    assert outcome.engine is not None
    assert (outcome.engine.row_buckets, outcome.engine.exact_rows) == ((8,), (8,))


def test_a_single_row_is_padded_to_two(stock: Any, request_of: Any) -> None:
    pipeline = Kernels(stock, (2, 4, 8))
    (outcome,) = engine_of(pipeline, 8, mode="exact").generate([request_of(guidance_scale=0.0)])
    assert isinstance(outcome, RenderedImage)
    assert outcome.engine is not None
    assert outcome.engine.row_buckets == (2,)


def test_after_memory_ran_out_no_count_is_used_that_was_not_proven_or_recorded(
    stock: Any, request_of: Any
) -> None:
    class Full(Kernels):
        above = 1000

        def predict(self, rows: Rows) -> torch.Tensor:
            if len(rows.latents) > self.above:
                raise OutOfMemory("full")
            return super().predict(rows)

    pipeline = Full(stock, (2, 8, 16), (4,))
    engine = engine_of(pipeline, 16, mode="exact")
    render_all(engine, [request_of()])
    pipeline.above = 4  # sixteen rows, then eight, fail
    outcomes = render_all(engine, [request_of(seed=seed) for seed in range(1, 9)])
    facts = [outcome.engine for outcome in outcomes.values()]
    assert all(
        engine_settings is not None and engine_settings.exact_rows == (2, 8, 16)
        for engine_settings in facts
    )
    assert any(
        engine_settings is not None and 4 in engine_settings.row_buckets
        for engine_settings in facts
    )


def test_a_proof_costs_its_passes_once(stock: Any, tmp_path: Any) -> None:
    pipeline, version = Kernels(stock, (2, 4, 8)), bundled_models()["starter"]
    for _ in range(2):
        proven = exact_rows_of(pipeline, version, home=tmp_path)
        assert proven(16, 16, 8) == (2, 4, 8)
        passes, pipeline.passes = pipeline.passes, []
    assert passes == []
    assert len([*(tmp_path / "exact_rows").iterdir()]) == 1
    proven(32, 16, 8)
    assert pipeline.passes


@pytest.fixture(scope="module", params=[1, 2], ids=["one thread", "two threads"])
def starter(request: Any) -> Any:
    """The starter at its real size, whose shapes decide which kernels are used."""
    yield load(FOLDERS["starter"], bundled_models()["starter"], threads=request.param)
    torch.set_num_threads(1)


real_requests = st.builds(
    GenerationRequest,
    prompt=st.sampled_from(["a red gem", "a blue coin", "a green key"]),
    width=st.just(64),
    height=st.just(64),
    num_inference_steps=st.integers(1, 3),
    guidance_scale=st.sampled_from([0.0, 2.0]),
    seed=st.integers(0, 2**32 - 1),
)


@pytest.mark.slow
@settings(max_examples=10)
@given(batch=st.lists(real_requests, min_size=1, max_size=9, unique_by=lambda r: r.id))
def test_company_does_not_change_what_the_starter_makes(
    starter: Any, batch: list[GenerationRequest]
) -> None:
    full = render_all(_starter_engine(starter, "reproducible"), batch)
    engine = _starter_engine(starter, "exact")
    together = render_all(engine, batch)
    for request in batch:
        alone = render_all(engine, [request])[request.id]
        for other in (together[request.id], full[request.id]):
            assert np.array_equal(alone.pixels, other.pixels)


def _starter_engine(pipeline: Any, mode: Any) -> Engine:
    return engine_of(pipeline, 16, mode=mode)
