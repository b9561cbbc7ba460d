"""The published models at their own sizes: counted on the meta device, run when cut down."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from app.engine.engine import Engine
from app.engine.results import RenderedImage
from app.models.sd3 import Sd3Pipeline
from app.types import GenerationRequest
from jobs.bench.engine.full_size_models import (
    LARGE,
    MAX_SEQUENCE_LENGTH,
    MEDIUM,
    FullSize,
    decode_flops,
    forward_flops,
    materialise,
    meta_rows,
    on_meta,
)


@pytest.fixture(scope="module")
def models() -> dict[FullSize, Any]:
    return {size: on_meta(size) for size in (MEDIUM, LARGE)}


@pytest.mark.parametrize(
    ("size", "millions", "position_buffer"),
    [(MEDIUM, 2243, 384**2 * 1536), (LARGE, 8057, 192**2 * 2432)],
)
def test_parameters_are_the_published_ones(
    models: dict[FullSize, Any], size: FullSize, millions: int, position_buffer: int
) -> None:
    transformer = models[size].transformer
    assert round(sum(parameter.numel() for parameter in transformer.parameters()) / 1e6) == millions
    assert sum(buffer.numel() for buffer in transformer.buffers()) == position_buffer


def test_the_other_parts_are_the_published_ones(models: dict[FullSize, Any]) -> None:
    stock = models[MEDIUM]
    parts = (stock.vae.decoder, stock.text_encoder, stock.text_encoder_2)
    millions = [sum(parameter.numel() for parameter in part.parameters()) / 1e6 for part in parts]
    assert millions == pytest.approx([49.5, 123.65, 694.66], abs=0.1)


@pytest.mark.parametrize(
    ("size", "side", "teraflops"),
    [(MEDIUM, 512, 2.443), (MEDIUM, 1024, 11.250), (LARGE, 512, 7.978), (LARGE, 1024, 31.121)],
)
def test_a_forward_pass_costs_what_its_floor_says(
    models: dict[FullSize, Any], size: FullSize, side: int, teraflops: float
) -> None:
    assert forward_flops(models[size], side) / 1e12 == pytest.approx(teraflops, rel=0.01)


def test_decoding_costs_what_its_floor_says(models: dict[FullSize, Any]) -> None:
    flops = [decode_flops(models[MEDIUM], side) / 1e12 for side in (512, 1024)]
    assert flops == pytest.approx([2.515, 10.472], rel=0.01)


@pytest.mark.parametrize("size", [MEDIUM, LARGE], ids=lambda size: size.name)
@pytest.mark.parametrize("side", [512, 1024])
def test_the_pipeline_takes_full_size_rows(
    models: dict[FullSize, Any], size: FullSize, side: int
) -> None:
    pipeline = Sd3Pipeline(models[size], max_sequence_length=MAX_SEQUENCE_LENGTH)
    with torch.inference_mode():
        velocity = pipeline.predict(meta_rows(models[size], side, 3))
    assert velocity.shape == (3, 16, side // 8, side // 8)


def test_one_layer_at_full_width_makes_a_picture() -> None:
    cut = replace(
        MEDIUM, layers=1, dual_attention_layers=(0,), pos_embed_max_size=16, text_layers=(1, 1)
    )
    stock = materialise(on_meta(cut), "cpu", torch.float32)
    engine = Engine(
        Sd3Pipeline(stock, max_sequence_length=MAX_SEQUENCE_LENGTH), knee=lambda width, height: 4
    )
    request = GenerationRequest(
        prompt="a red potion", width=64, height=64, num_inference_steps=2, guidance_scale=4.5
    )
    (made,) = engine.generate([request])
    engine.close()
    assert isinstance(made, RenderedImage)
    assert made.pixels.shape == (64, 64, 4)
    assert len(np.unique(made.pixels)) > 10
