"""When memory runs out: rows halve, the step is repeated, nothing is lost or made twice."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from app.engine.engine import Engine
from app.engine.pipeline import Rows
from app.engine.results import FailedRequest, RenderedImage
from app.engine.row_budget import RowBudgets, bucket_for
from app.errors import OutOfMemory
from app.models.sd3 import Sd3Pipeline
from app.types import GenerationRequest
from tests.engine.engines import LENGTH, engine_of, render_all


class FullPipeline(Sd3Pipeline):
    """Runs out of memory at chosen forward passes, above a row limit, or while decoding."""

    def __init__(self, stock: Any, *, at: frozenset[int] = frozenset(), above: int = 1000) -> None:
        super().__init__(stock, max_sequence_length=LENGTH)
        self._at, self._above = at, above
        self.asked_for: list[int] = []
        self.decodes_refused = 0

    def predict(self, rows: Rows) -> torch.Tensor:
        self.asked_for.append(len(rows.latents))
        if len(self.asked_for) - 1 in self._at or len(rows.latents) > self._above:
            raise OutOfMemory("full")
        return super().predict(rows)

    def decode(self, latents: torch.Tensor, request: GenerationRequest) -> Any:
        if self.decodes_refused:
            self.decodes_refused -= 1
            raise OutOfMemory("full")
        return super().decode(latents, request)


@pytest.fixture
def batch(request_of: Any) -> list[GenerationRequest]:
    """Ten requests, 16 rows, 2 to 5 steps: two full steps of 8 rows at once."""
    return [
        request_of(seed=seed, num_inference_steps=2 + seed % 4, guidance_scale=3.0 * (seed % 5 > 1))
        for seed in range(10)
    ]


def test_memory_that_runs_out_at_any_step_loses_nothing_and_changes_no_pixel(
    stock: Any, batch: list[GenerationRequest]
) -> None:
    undisturbed = FullPipeline(stock)
    calm = render_all(engine_of(undisturbed, 16), batch)
    for at in range(len(undisturbed.asked_for)):
        pipeline = FullPipeline(stock, at=frozenset({at}))
        engine = engine_of(pipeline, 16)
        outcomes = list(engine.generate(batch))
        assert Counter(outcome.request.id for outcome in outcomes) == Counter(
            request.id for request in batch
        )
        for outcome in outcomes:
            assert isinstance(outcome, RenderedImage)
            assert np.array_equal(outcome.pixels, calm[outcome.request.id].pixels)
        assert pipeline.asked_for[at : at + 2] in ([16, 8], [16])
        assert [change.reason for change in engine.trace][1:] == ["out of memory at 16 rows"]
        useful = sum(
            (1 + (request.guidance_scale > 1)) * request.num_inference_steps for request in batch
        )
        assert engine.row_steps == useful  # the step that failed is repeated, no other


def test_a_budget_goes_up_again_by_probing_ever_more_rarely(stock: Any, request_of: Any) -> None:
    pipeline = FullPipeline(stock, above=8)
    engine = engine_of(pipeline, 16)
    steps = 150
    outcomes = list(
        engine.generate([request_of(seed=s, num_inference_steps=steps) for s in (1, 2)])
    )
    assert all(isinstance(outcome, RenderedImage) for outcome in outcomes)
    refused = [number for number, rows in enumerate(pipeline.asked_for) if rows == 16]
    assert refused == [0, 33, 98]  # after 32 good steps, then after 64, then not before 128
    assert len(pipeline.asked_for) == steps + len(refused)
    reasons = [change.reason for change in engine.trace]
    assert reasons[1:4] == [
        "out of memory at 16 rows",
        "probe after 32 good steps",
        "out of memory at 16 rows",
    ]


def test_memory_that_comes_back_is_used_again(stock: Any, request_of: Any) -> None:
    pipeline = FullPipeline(stock, at=frozenset({0, 1}))
    engine = engine_of(pipeline, 16)
    list(engine.generate([request_of(num_inference_steps=100)]))
    assert pipeline.asked_for[:3] == [16, 8, 4]
    assert [change.rows for change in engine.trace] == [16, 8, 4, 8, 16]


def test_what_does_not_fit_at_all_fails_and_leaves_nothing_behind(
    stock: Any, request_of: Any
) -> None:
    engine = engine_of(FullPipeline(stock, above=1), 16)
    large, small = request_of(seed=1), request_of(seed=2)
    outcomes = list(engine.generate([large, small]))
    assert all(isinstance(outcome, FailedRequest) for outcome in outcomes)
    assert all(isinstance(outcome.error, OutOfMemory) for outcome in outcomes)
    assert not engine.busy


def test_decoding_without_memory_is_tried_again_before_it_fails(
    stock: Any, request_of: Any
) -> None:
    for refused, kind in ((2, RenderedImage), (3, FailedRequest)):
        pipeline = FullPipeline(stock)
        pipeline.decodes_refused = refused
        (outcome,) = engine_of(pipeline).generate([request_of()])
        assert isinstance(outcome, kind)


def test_the_devices_own_error_is_translated(stock: Any, request_of: Any) -> None:
    pipeline = Sd3Pipeline(stock, max_sequence_length=LENGTH)

    def full(**inputs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    pipeline._forward = full
    (outcome,) = Engine(pipeline, knee=lambda width, height: 4).generate([request_of()])
    assert isinstance(outcome, FailedRequest)
    assert isinstance(outcome.error, OutOfMemory)
    assert "2 rows" in str(outcome.error)


def test_each_size_has_a_budget_of_its_own() -> None:
    budgets = RowBudgets(lambda family: {"small": 16, "large": 4}[str(family)], smallest=2)
    assert budgets.rows("small") == 16
    assert budgets.halve("small", "out of memory at 16 rows")
    assert (budgets.rows("small"), budgets.rows("large")) == (8, 4)
    assert budgets.halve("large", "x")
    assert not budgets.halve("large", "x")


def test_buckets_hold_what_they_are_asked_to() -> None:
    assert [bucket_for(rows) for rows in (1, 2, 3, 5, 16, 17, 33)] == [1, 2, 4, 8, 16, 32, 33]
