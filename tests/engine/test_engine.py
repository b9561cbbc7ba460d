"""The engine's plain duties on a real, tiny SD3 pipeline."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from app.engine.engine import Engine
from app.engine.pipeline import Rows
from app.engine.results import EngineEvent, FailedRequest, Preview, RenderedImage
from app.engine.state import Delivery, ServiceClass
from app.errors import Cancelled, InvalidRequest, NotFinite, OutOfBounds
from app.models.sd3 import Sd3Pipeline
from tests.engine.engines import LENGTH, engine_of, render_all


def all_events(engine: Engine) -> Iterator[EngineEvent]:
    """All that the engine says until nothing is left to do."""
    while engine.busy:
        yield from engine.step()


def test_pixels_equal_the_stock_pipelines_to_the_last_level(stock: Any, request_of: Any) -> None:
    request = request_of(seed=5)
    image = stock(
        prompt=request.prompt, negative_prompt="", width=16, height=16, num_inference_steps=4,
        guidance_scale=4.0, max_sequence_length=LENGTH, output_type="pil",
        generator=torch.Generator("cpu").manual_seed(5),
    ).images[0]  # fmt: skip
    (ours,) = engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH)).generate([request])
    assert isinstance(ours, RenderedImage)
    difference = ours.pixels[:, :, :3].astype(int) - np.asarray(image).astype(int)
    assert np.abs(difference).max() <= 1
    assert (ours.pixels[:, :, 3] == 255).all()


def test_a_request_may_join_while_others_are_under_way(stock: Any, request_of: Any) -> None:
    engine = engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH), rows=8)
    early, late = request_of(seed=1, num_inference_steps=5), request_of(seed=2)
    engine.submit(early)
    assert engine.step() == []
    engine.submit(late)
    joined = {event.result.request.id: event.result for event in all_events(engine)}
    alone = render_all(engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH)), [early, late])
    assert engine.forward_passes == 5
    for request in (early, late):
        assert np.array_equal(joined[request.id].pixels, alone[request.id].pixels)


def test_requests_share_forward_passes(stock: Any, request_of: Any) -> None:
    engine = engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH), rows=8)
    render_all(engine, [request_of(seed=seed) for seed in range(4)])
    assert engine.forward_passes == 4


def test_the_encoder_runs_once_per_distinct_text(stock: Any, request_of: Any) -> None:
    pipeline = Sd3Pipeline(stock, max_sequence_length=LENGTH)
    render_all(engine_of(pipeline), [request_of(prompt=p, seed=s) for p in "ab" for s in range(3)])
    assert pipeline.encoder_calls == 3  # "a", "b" and the empty negative prompt


class PoisonedPipeline(Sd3Pipeline):
    """Gives NaN for the rows of one prompt."""

    def predict(self, rows: Rows) -> torch.Tensor:
        velocity = super().predict(rows)
        poisoned = (rows.pooled == self.encode("poison").pooled).all(dim=1)
        velocity[poisoned] = float("nan")
        return velocity


def test_latents_that_are_not_finite_fail_that_request_alone(stock: Any, request_of: Any) -> None:
    engine = engine_of(PoisonedPipeline(stock, max_sequence_length=LENGTH))
    bad, good = request_of(prompt="poison"), request_of()
    outcomes = {outcome.request.id: outcome for outcome in engine.generate([bad, good])}
    assert isinstance(outcomes[bad.id], FailedRequest)
    assert isinstance(outcomes[bad.id].error, NotFinite)
    assert isinstance(outcomes[good.id], RenderedImage)


def test_a_size_off_the_latent_grid_is_refused_with_the_grid(stock: Any, request_of: Any) -> None:
    engine = engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH))
    (outcome,) = engine.generate([request_of(width=18)])
    assert isinstance(outcome, FailedRequest)
    assert isinstance(outcome.error, OutOfBounds)
    assert "18x16" in str(outcome.error)
    assert "multiples of 4" in str(outcome.error)


def test_the_facts_of_the_making_ride_with_the_image(stock: Any, request_of: Any) -> None:
    (outcome,) = engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH)).generate([request_of()])
    assert isinstance(outcome, RenderedImage)
    assert outcome.engine is not None
    assert outcome.engine.row_buckets == (16,)
    assert outcome.noise_schedule is not None
    assert outcome.noise_schedule.steps == 4
    assert outcome.prompt_embedding_digest is not None


def test_a_cancelled_request_runs_no_further_step(stock: Any, request_of: Any) -> None:
    engine = engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH), rows=8)
    unwanted = engine.submit(request_of(seed=1, num_inference_steps=50))
    wanted = engine.submit(request_of(seed=2, num_inference_steps=4))
    engine.step()
    engine.cancel(unwanted)
    results = {event.ticket: event.result for event in all_events(engine)}
    assert isinstance(results[unwanted], FailedRequest)
    assert isinstance(results[unwanted].error, Cancelled)
    assert isinstance(results[wanted], RenderedImage)
    assert engine.row_steps == 2 * 2 + 3 * 2  # one shared step, then the neighbour alone


def test_a_request_cancelled_while_it_is_decoded_is_not_delivered(
    stock: Any, request_of: Any
) -> None:
    engine = engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH))
    ticket = engine.submit(request_of(num_inference_steps=1))
    engine._run(engine._scheduler.take(0.0))  # between the last step and the picture
    engine.cancel(ticket)
    assert [type(event.result) for event in all_events(engine)] == [FailedRequest]
    engine.cancel(ticket)  # once more does nothing
    assert not engine.busy


def test_previews_come_as_often_as_asked_and_near_the_picture(stock: Any, request_of: Any) -> None:
    engine = engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH))
    engine.submit(request_of(num_inference_steps=7), Delivery(preview_every=2))
    engine.submit(request_of(seed=3, num_inference_steps=7))
    results = [event.result for event in all_events(engine)]
    previews = [result for result in results if isinstance(result, Preview)]
    assert [preview.step for preview in previews] == [2, 4, 6]
    assert {preview.pixels.shape for preview in previews} == {(8, 8, 4)}
    (final,) = [
        result
        for result in results
        if isinstance(result, RenderedImage) and result.request.seed == 0
    ]
    small = final.pixels.reshape(8, 2, 8, 2, 4).mean(axis=(1, 3))
    distances = [np.abs(preview.pixels - small).mean() for preview in previews]
    assert distances[-1] < 40  # a random decoder is no picture, but colours must agree
    assert distances[-1] <= distances[0]


def test_a_request_that_becomes_interactive_overtakes(stock: Any, request_of: Any) -> None:
    engine = engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH), rows=4)
    tickets = [engine.submit(request_of(seed=seed, num_inference_steps=9)) for seed in range(5)]
    engine.step()
    engine.prioritise(tickets[4], Delivery(ServiceClass.INTERACTIVE))
    finished = [event.ticket for event in all_events(engine)]
    assert finished[:2] == [tickets[0], tickets[4]]  # the first was a step ahead
    assert sorted(finished) == tickets


def test_a_picture_that_nobody_can_look_up_is_refused(stock: Any, request_of: Any) -> None:
    engine = engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH))
    (outcome,) = engine.generate([request_of(init_image="0" * 64)])
    assert isinstance(outcome, FailedRequest)
    assert isinstance(outcome.error, InvalidRequest)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"strength": 0.5}, "needs init_image"),
        ({"mask_image": "m"}, "without init_image"),
        ({"init_image": "i", "width": 32}, "init_image is 16x16 and the request 32x16"),
    ],
)
def test_pictures_that_do_not_fit_are_refused_with_the_remedy(
    stock: Any, request_of: Any, changes: dict[str, Any], words: str
) -> None:
    picture = np.zeros((16, 16, 4), np.uint8)
    engine = engine_of(
        Sd3Pipeline(stock, max_sequence_length=LENGTH), images=lambda digest: picture
    )
    names = {name: "0" * 64 for name in ("init_image", "mask_image") if name in changes}
    (outcome,) = engine.generate([request_of(**(changes | names))])
    assert isinstance(outcome, FailedRequest)
    assert words in str(outcome.error)
