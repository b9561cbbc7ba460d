"""Text over a picture as it is: no step, no latents, no pixel touched but the text's."""

import asyncio
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from app.check.text_readback import read_back, worst_error
from app.engine.async_engine import AsyncEngine
from app.engine.engine import Engine
from app.engine.pipeline import Pixels
from app.engine.results import FailedRequest, RenderedImage
from app.engine.state import Delivery
from app.errors import InvalidRequest
from app.image.resize import cover
from app.models.polish import PolishedPipeline
from app.models.sd3 import Sd3Pipeline
from app.models.text.fonts import Fonts
from app.models.typeset import TypesetPipeline
from app.types import GenerationRequest, Rect, Size
from app.types.text_layer import TextLayer
from tests.engine.engines import LENGTH, ImageStore, engine_of, picture, render_all

BOX = Rect(x=20, y=90, width=200, height=60)
LAYER = TextLayer(text="SALE", box=BOX, colour="#ffffff", outline="auto", shadow="#000000")


class Twice:
    """Every pixel becomes four."""

    def upscale(self, pixels: Pixels) -> Pixels:
        return pixels.repeat(2, axis=0).repeat(2, axis=1)


@pytest.fixture
def pipeline(stock: Any) -> TypesetPipeline:
    base = Sd3Pipeline(stock, max_sequence_length=LENGTH)
    return TypesetPipeline(PolishedPipeline(base, Twice(), Size(width=16, height=16)), Fonts())


def over(
    input_files: ImageStore, pixels: Pixels, *layers: TextLayer, **changes: Any
) -> GenerationRequest:
    return GenerationRequest(
        prompt="a sky",
        width=240,
        height=160,
        num_inference_steps=4,
        guidance_scale=2,
        strength=0,
        init_image=input_files.add(pixels),
        text_layers=layers or (LAYER,),
    ).replace(**changes)


def sky(width: int = 240, height: int = 160) -> Pixels:
    """Calm enough for text: colours that run slowly, and alpha that is not everywhere full."""
    rows, columns = np.mgrid[:height, :width]
    planes = [40 + rows % 90, 60 + columns % 70, 90 + (rows + columns) % 60, 255 - rows % 3]
    return np.stack(planes, axis=-1).astype(np.uint8)


def made(engine: Engine, request: GenerationRequest) -> RenderedImage:
    return render_all(engine, [request])[request.id]


def test_the_text_stands_over_the_picture_and_no_other_pixel_moved(
    pipeline: TypesetPipeline,
) -> None:
    input_files, pixels = ImageStore(), sky()
    engine = engine_of(pipeline, images=input_files.get)
    rendered = made(engine, over(input_files, pixels))
    touched = (rendered.pixels != pixels).any(axis=-1)
    inside = np.zeros_like(touched)
    inside[BOX.y : BOX.y + BOX.height, BOX.x : BOX.x + BOX.width] = True
    assert touched.any()
    assert not (touched & ~inside).any()
    assert (engine.forward_passes, engine.row_steps) == (0, 0)
    assert worst_error(read_back(rendered.pixels, rendered.request.text_layers)) == 0


def test_what_is_recorded_says_that_nothing_was_painted(pipeline: TypesetPipeline) -> None:
    input_files = ImageStore()
    rendered = made(engine_of(pipeline, images=input_files.get), over(input_files, sky()))
    assert rendered.noise_schedule is not None
    assert (rendered.noise_schedule.scheduler, rendered.noise_schedule.steps) == ("none", 0)
    assert rendered.engine is not None
    assert rendered.engine.row_buckets == ()


def test_neither_seed_nor_steps_nor_prompt_changes_it(pipeline: TypesetPipeline) -> None:
    input_files = ImageStore()
    engine = engine_of(pipeline, images=input_files.get)
    request = over(input_files, sky())
    others = [request.replace(seed=9), request.replace(num_inference_steps=9, prompt="a sea")]
    pictures = render_all(engine, [request, *others])
    assert len(pictures) == 3
    assert len({picture.pixels.tobytes() for picture in pictures.values()}) == 1


def test_company_changes_neither_a_poster_nor_its_neighbours(
    pipeline: TypesetPipeline, request_of: Any
) -> None:
    input_files = ImageStore()
    poster = over(input_files, sky())
    painted = request_of(
        width=120, height=160, text_layers=(LAYER.replace(box=None, plate="auto"),)
    )
    alone = {
        request.id: made(engine_of(pipeline, images=input_files.get), request).pixels
        for request in (poster, painted)
    }
    engine = engine_of(pipeline, images=input_files.get)
    engine.submit(painted)
    engine.step()
    engine.submit(poster, Delivery(preview_every=1))
    engine.submit(painted.replace(seed=4))
    seen = {result.request.id: result for result in engine.generate([])}
    assert len(seen) == 3
    for name, pixels in alone.items():
        outcome = seen[name]
        assert isinstance(outcome, RenderedImage)
        assert np.array_equal(outcome.pixels, pixels)


def test_a_poster_can_be_cancelled_while_it_waits(pipeline: TypesetPipeline) -> None:
    input_files = ImageStore()
    engine = engine_of(pipeline, images=input_files.get)
    engine.cancel(engine.submit(over(input_files, sky())))
    (outcome,) = engine.generate([])
    assert isinstance(outcome, FailedRequest)
    assert "was cancelled" in str(outcome.error)
    assert not engine.busy


def test_a_service_that_has_nothing_else_to_do_answers_with_a_poster(
    pipeline: TypesetPipeline,
) -> None:
    """The engine's owner sleeps meanwhile; the decoded picture wakes it."""
    input_files = ImageStore()
    request = over(input_files, sky())

    async def asked() -> RenderedImage:
        engine = AsyncEngine(engine_of(pipeline, images=input_files.get))
        try:
            return await engine.generate(request)
        finally:
            await engine.drain()

    assert asyncio.run(asked()).request == request


def test_another_size_is_covered_by_the_middle_of_the_picture(pipeline: TypesetPipeline) -> None:
    input_files = ImageStore()
    pixels = picture(240, 400, 1)
    quiet = LAYER.replace(plate="#000000")
    rendered = made(engine_of(pipeline, images=input_files.get), over(input_files, pixels, quiet))
    assert np.array_equal(rendered.pixels[: BOX.y], pixels[120 : 120 + BOX.y])
    assert np.array_equal(rendered.pixels[-5:], pixels[275:280])


@pytest.mark.parametrize(
    ("changes", "images", "words"),
    [
        ({"text_layers": ()}, None, "sets text over an unchanged image"),
        ({"mask_image": "m"}, None, "no mask_image"),
        ({}, torch.zeros(4, 2, 2), "give a PNG"),
        ({"init_image": None}, None, "give a PNG as init_image"),
        ({"text_layers": (LAYER.replace(font="No Such Font"),)}, None, "No Such Font"),
        ({"text_layers": (LAYER.replace(text="売り出し"),)}, None, "no glyph"),
    ],
)  # fmt: skip
def test_what_cannot_be_set_over_a_picture_is_refused_before_decoding(
    pipeline: TypesetPipeline, changes: Any, images: Any, words: str
) -> None:
    input_files = ImageStore()
    request = over(input_files, sky())
    names = {key: input_files.add(sky()) for key in ("mask_image",) if key in changes}
    engine = engine_of(
        pipeline, images=(lambda _: images) if images is not None else input_files.get
    )
    engine.submit(request.replace(**changes | names))
    (event,) = engine.step(wait=False)
    assert isinstance(event.result, FailedRequest)
    assert isinstance(event.result.error, InvalidRequest)
    assert words in str(event.result.error)


def test_text_too_faint_over_the_picture_is_refused(pipeline: TypesetPipeline) -> None:
    input_files = ImageStore()
    white = np.full((160, 240, 4), 255, np.uint8)
    request = over(input_files, white, LAYER.replace(outline="", shadow=""))
    (outcome,) = engine_of(pipeline, images=input_files.get).generate([request])
    assert isinstance(outcome, FailedRequest)
    assert "contrast" in str(outcome.error)


def test_a_model_that_paints_does_not_take_a_picture_as_it_is(stock: Any) -> None:
    input_files = ImageStore()
    base = Sd3Pipeline(stock, max_sequence_length=LENGTH)
    for pipeline in (base, PolishedPipeline(base, Twice(), Size(width=16, height=16))):
        request = over(input_files, picture(16, 16, 1), width=16, height=16)
        (outcome,) = engine_of(pipeline, images=input_files.get).generate([request])
        assert isinstance(outcome, FailedRequest)
        assert "strength 0" in str(outcome.error)


sides = st.integers(1, 70)


@given(width=sides, height=sides, wide=sides, high=sides, seed=st.integers(0, 9))
def test_a_cover_fills_the_frame_from_the_middle(
    width: int, height: int, wide: int, high: int, seed: int
) -> None:
    pixels = picture(width, height, seed)
    covered = cover(pixels, Size(width=wide, height=high))
    assert covered.shape == (high, wide, 4)
    assert (covered[..., 3] == 255).all()
    if (wide, high) == (width, height):
        assert np.array_equal(covered, pixels)


def test_a_cover_cuts_evenly_and_keeps_proportions() -> None:
    """Three stripes, the outer ones cut away; a disc in the middle stays round."""
    rows, columns = np.mgrid[:100, :300]
    disc = np.hypot(rows - 49.5, columns - 149.5) < 40
    pixels = np.full((100, 300, 4), 255, np.uint8)
    pixels[:, :100], pixels[:, 200:] = (255, 0, 0, 255), (0, 0, 255, 255)
    pixels[disc] = (0, 0, 0, 255)
    covered = cover(pixels, Size(width=200, height=200))
    assert not (covered[..., 0] != covered[..., 2]).any()
    black = covered[..., 0] < 128
    assert abs(int(black.any(axis=0).sum()) - int(black.any(axis=1).sum())) <= 1
    assert np.array_equal(black, black[:, ::-1])


def test_a_picture_longer_than_any_canvas_is_covered_too() -> None:
    covered = cover(np.full((3, 9000, 4), 255, np.uint8), Size(width=64, height=64))
    assert covered.shape == (64, 64, 4)
