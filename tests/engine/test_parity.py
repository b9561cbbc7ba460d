"""Every kind of request equals diffusers' own pipeline for it, in any company."""

from copy import deepcopy
from typing import Any

import pytest
import torch

from app.engine.results import RenderedImage
from app.models.random_weights import Sd3Shape, random_sd3
from app.types import GenerationRequest, Sampler
from tests.engine.engines import (
    ImageStore,
    Sd3Latents,
    engine_of,
    half_mask,
    picture,
    stock_latents,
)


@pytest.fixture(scope="module")
def stock() -> Any:
    """As everywhere, but with the 16 latent channels that stock inpainting insists on."""
    torch.set_num_threads(1)
    return random_sd3(Sd3Shape(latent_channels=16))


@pytest.fixture(scope="module")
def input_files() -> ImageStore:
    return ImageStore()


def mixed_batch(input_files: ImageStore) -> list[GenerationRequest]:
    """Text to image, img2img and inpainting with differing steps, guidance, prompts, strengths."""
    batch = []
    for number in range(18):
        width = 16 + 16 * (number % 2)
        pictures: dict[str, Any] = {}
        if number % 3:
            pictures["init_image"] = input_files.add(picture(width, 16, number))
            pictures["strength"] = [0.35, 0.6, 1.0][number % 4 % 3]
        if number % 3 == 2:
            pictures["mask_image"] = input_files.add(half_mask(width, 16))
        batch.append(
            GenerationRequest(
                prompt=f"a red potion {number}",
                negative_prompt="blur" * (number % 2),
                seed=number,
                width=width,
                height=16,
                num_inference_steps=3 + number,
                guidance_scale=[0.0, 2.5, 7.0, 1.0, 4.5][number % 5],
                **pictures,
            )
        )
    return batch


def finals(pipeline: Sd3Latents, input_files: ImageStore, rows: int) -> dict[str, torch.Tensor]:
    engine = engine_of(pipeline, rows=rows, images=input_files.__getitem__)
    outcomes = list(engine.generate(mixed_batch(input_files)))
    assert all(isinstance(outcome, RenderedImage) for outcome in outcomes)
    order = [outcome.request.id for outcome in outcomes]
    return dict(zip(order, pipeline.finals, strict=True))


@pytest.mark.parametrize("rows", [4, 16])
def test_every_request_of_a_mixed_batch_equals_its_stock_pipeline(
    stock: Any, input_files: ImageStore, rows: int
) -> None:
    ours = finals(Sd3Latents(stock), input_files, rows)
    for request in mixed_batch(input_files):
        expected = stock_latents(stock, request, input_files)
        assert (ours[request.id] - expected).norm() / expected.norm() <= 1e-5


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_multistep_sampler_equals_the_stock_pipeline_with_diffusers_own(
    stock: Any, input_files: ImageStore
) -> None:
    from diffusers import DPMSolverMultistepScheduler, StableDiffusion3Pipeline

    batch = [
        request.replace(sampler=Sampler.DPMPP_2M, init_image=None, mask_image=None, strength=1.0)
        for request in mixed_batch(input_files)
    ]
    pipeline = Sd3Latents(stock)
    outcomes = list(engine_of(pipeline, 8).generate(batch + mixed_batch(input_files)[::3]))
    ours = {
        outcome.request.id: latents
        for outcome, latents in zip(outcomes, pipeline.finals, strict=True)
    }
    scheduler = DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    theirs = StableDiffusion3Pipeline(**{**stock.components, "scheduler": scheduler})
    for request in batch:
        expected = stock_latents(theirs, request, input_files)
        assert (ours[request.id] - expected).norm() / expected.norm() <= 1e-5


def test_guided_requests_equal_stock_bf16_to_the_bit_in_the_parity_mode(
    stock: Any, input_files: ImageStore
) -> None:
    half = deepcopy(stock).to(torch.bfloat16)
    ours = finals(Sd3Latents(half, rounding="stock"), input_files, 8)
    guided = [request for request in mixed_batch(input_files) if request.guidance_scale > 1]
    assert len(guided) == 11
    for request in guided:
        assert torch.equal(ours[request.id], stock_latents(half, request, input_files))


def test_fp32_latents_around_a_bf16_network_come_closer_to_fp32_than_stock(
    stock: Any, input_files: ImageStore
) -> None:
    half = deepcopy(stock).to(torch.bfloat16)
    ours = finals(Sd3Latents(half), input_files, 8)
    distances = []
    for request in mixed_batch(input_files)[::3]:  # pictures would differ by the bf16 encoder alone
        exact = stock_latents(stock, request, input_files)
        theirs = stock_latents(half, request, input_files).float()
        distances.append(((ours[request.id] - exact).norm(), (theirs - exact).norm()))
    assert sum(ours for ours, _ in distances) < sum(theirs for _, theirs in distances)
