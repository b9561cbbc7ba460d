"""The engine's laws on a real, tiny SD3 pipeline."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.engine import Engine
from app.engine.pipeline import Rows
from app.engine.rendered import Failed, Rendered
from app.errors import EngineError, NotFinite, OutOfBounds
from app.models.sd3 import Sd3Pipeline
from app.types import GenerationRequest

LENGTH = 8

requests = st.builds(
    GenerationRequest,
    prompt=st.sampled_from(["a red potion", "a blue coin", "x"]),
    negative_prompt=st.sampled_from(["", "blur"]),
    width=st.sampled_from([16, 32]),
    height=st.just(16),
    num_inference_steps=st.integers(1, 5),
    guidance_scale=st.sampled_from([0.0, 1.0, 1.5, 7.0]),
    seed=st.integers(0, 2**32 - 1),
)


class Sd3Latents(Sd3Pipeline):
    """Keeps the final latents, which the stock pipeline can also be asked for."""

    def __init__(self, stock: Any) -> None:
        super().__init__(stock, max_sequence_length=LENGTH)
        self.finals: list[torch.Tensor] = []

    def decode(self, latents: torch.Tensor) -> Any:
        self.finals.append(latents)
        return super().decode(latents)


def stock_latents(stock: Any, request: GenerationRequest) -> torch.Tensor:
    output = stock(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        width=request.width,
        height=request.height,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        max_sequence_length=LENGTH,
        generator=torch.Generator("cpu").manual_seed(request.seed),
        output_type="latent",
    )
    return output.images[0]


def render_all(engine: Engine, batch: list[GenerationRequest]) -> dict[str, Rendered]:
    outcomes = list(engine.generate(batch))
    assert all(isinstance(outcome, Rendered) for outcome in outcomes)
    return {outcome.request.id: outcome for outcome in outcomes}


def test_every_request_of_a_mixed_batch_equals_the_stock_pipeline_alone(stock: Any) -> None:
    batch = [
        GenerationRequest(
            prompt=f"a red potion {i}", negative_prompt="blur" * (i % 2), seed=i,
            width=16 + 16 * (i % 2), height=16,
            num_inference_steps=3 + i, guidance_scale=[0.0, 1.0, 2.5, 7.0][i % 4],
        )
        for i in range(10)
    ]  # fmt: skip
    pipeline = Sd3Latents(stock)
    outcomes = [outcome.request for outcome in Engine(pipeline, row_bucket=8).generate(batch)]
    assert len(outcomes) == len(batch)
    for request, latents in zip(outcomes, pipeline.finals, strict=True):
        expected = stock_latents(stock, request)
        assert (latents - expected).norm() / expected.norm() <= 1e-5


def test_pixels_equal_the_stock_pipelines_to_the_last_level(stock: Any, request_of: Any) -> None:
    request = request_of(seed=5)
    image = stock(
        prompt=request.prompt, negative_prompt="", width=16, height=16, num_inference_steps=4,
        guidance_scale=4.0, max_sequence_length=LENGTH, output_type="pil",
        generator=torch.Generator("cpu").manual_seed(5),
    ).images[0]  # fmt: skip
    (ours,) = Engine(Sd3Pipeline(stock, max_sequence_length=LENGTH)).generate([request])
    assert isinstance(ours, Rendered)
    difference = ours.pixels[:, :, :3].astype(int) - np.asarray(image).astype(int)
    assert np.abs(difference).max() <= 1
    assert (ours.pixels[:, :, 3] == 255).all()


@settings(max_examples=15)
@given(batch=st.lists(requests, min_size=1, max_size=6, unique_by=lambda r: r.id), data=st.data())
def test_company_does_not_change_an_image(stock: Any, batch: list[Any], data: Any) -> None:
    pipeline = Sd3Pipeline(stock, max_sequence_length=LENGTH)
    chosen = data.draw(st.sampled_from(batch))
    alone = render_all(Engine(pipeline, row_bucket=4), [chosen])[chosen.id]
    together = render_all(Engine(pipeline, row_bucket=8), data.draw(st.permutations(batch)))
    assert np.array_equal(alone.pixels, together[chosen.id].pixels)


def test_a_request_may_join_while_others_are_under_way(stock: Any, request_of: Any) -> None:
    engine = Engine(Sd3Pipeline(stock, max_sequence_length=LENGTH), row_bucket=8)
    early, late = request_of(seed=1, num_inference_steps=5), request_of(seed=2)
    engine.submit(early)
    assert engine.step() == []
    engine.submit(late)
    joined = {outcome.request.id: outcome for _ in range(8) for outcome in engine.step()}
    alone = render_all(Engine(Sd3Pipeline(stock, max_sequence_length=LENGTH)), [early, late])
    assert engine.forward_passes == 5
    for request in (early, late):
        assert np.array_equal(joined[request.id].pixels, alone[request.id].pixels)


def test_requests_share_forward_passes(stock: Any, request_of: Any) -> None:
    engine = Engine(Sd3Pipeline(stock, max_sequence_length=LENGTH), row_bucket=8)
    render_all(engine, [request_of(seed=seed) for seed in range(4)])
    assert engine.forward_passes == 4


def test_the_encoder_runs_once_per_distinct_text(stock: Any, request_of: Any) -> None:
    pipeline = Sd3Pipeline(stock, max_sequence_length=LENGTH)
    render_all(Engine(pipeline), [request_of(prompt=p, seed=s) for p in "ab" for s in range(3)])
    assert pipeline.encoder_calls == 3  # "a", "b" and the empty negative prompt


class PoisonedPipeline(Sd3Pipeline):
    """Gives NaN for the rows of one prompt."""

    def predict(self, rows: Rows) -> torch.Tensor:
        velocity = super().predict(rows)
        poisoned = (rows.pooled == self.encode("poison").pooled).all(dim=1)
        velocity[poisoned] = float("nan")
        return velocity


def test_latents_that_are_not_finite_fail_that_request_alone(stock: Any, request_of: Any) -> None:
    engine = Engine(PoisonedPipeline(stock, max_sequence_length=LENGTH))
    bad, good = request_of(prompt="poison"), request_of()
    outcomes = {outcome.request.id: outcome for outcome in engine.generate([bad, good])}
    assert isinstance(outcomes[bad.id], Failed)
    assert isinstance(outcomes[bad.id].error, NotFinite)
    assert isinstance(outcomes[good.id], Rendered)


def test_a_size_off_the_latent_grid_is_refused_with_the_grid(stock: Any, request_of: Any) -> None:
    engine = Engine(Sd3Pipeline(stock, max_sequence_length=LENGTH))
    (outcome,) = engine.generate([request_of(width=18)])
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, OutOfBounds)
    assert "18x16" in str(outcome.error)
    assert "multiples of 4" in str(outcome.error)


def test_the_facts_of_the_making_ride_with_the_image(stock: Any, request_of: Any) -> None:
    (outcome,) = Engine(Sd3Pipeline(stock, max_sequence_length=LENGTH)).generate([request_of()])
    assert isinstance(outcome, Rendered)
    assert outcome.engine is not None
    assert outcome.engine.row_bucket == 16
    assert outcome.noise_schedule is not None
    assert outcome.noise_schedule.steps == 4
    assert outcome.prompt_embedding_digest is not None


def test_a_row_budget_that_cannot_hold_a_guided_request_is_refused(stock: Any) -> None:
    with pytest.raises(EngineError, match="row budget 1"):
        Engine(Sd3Pipeline(stock, max_sequence_length=LENGTH), row_bucket=1)
