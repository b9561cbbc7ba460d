"""Pipelines that go on where another one ends: polish and typesetting over a tiny model."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from app.engine.pipeline import Pixels
from app.engine.results import FailedRequest, RenderedImage
from app.engine.state import Delivery
from app.errors import BadImage, InvalidRequest, OutOfBounds
from app.image.init_image import latents_bytes, read_init_image
from app.image.png import png_bytes
from app.models.polish import PolishedPipeline, upscale_to
from app.models.sd3 import Sd3Pipeline
from app.models.text.fonts import Fonts
from app.models.typeset import TypesetPipeline, plate_of
from app.types import GenerationRequest, Rect, Size
from app.types.text_layer import TextLayer, with_boxes
from tests.engine.engines import LENGTH, engine_of, render_all

FRAME = Size(width=16, height=16)


class Twice:
    """Every pixel becomes four."""

    def upscale(self, pixels: Pixels) -> Pixels:
        return pixels.repeat(2, axis=0).repeat(2, axis=1)


def polished(stock: Any) -> PolishedPipeline:
    return PolishedPipeline(Sd3Pipeline(stock, max_sequence_length=LENGTH), Twice(), FRAME)


def render_one(pipeline: Any, request: GenerationRequest, **options: Any) -> RenderedImage:
    (rendered,) = render_all(engine_of(pipeline, **options), [request]).values()
    return rendered


def latents_of(pipeline: Any, request: GenerationRequest) -> Any:
    engine = engine_of(pipeline)
    engine.submit(request, Delivery(keep_latents=True))
    while True:
        for event in engine.step():
            assert isinstance(event.result, RenderedImage)
            return event.result.latents


def test_a_polished_picture_is_the_base_s_enlarged_and_keeps_its_name(
    stock: Any, request_of: Any
) -> None:
    pipeline = polished(stock)
    small = render_one(pipeline.base, request_of()).pixels
    large = request_of(width=32, height=32)
    rendered = render_one(pipeline, large)
    assert rendered.request == large
    assert np.array_equal(rendered.pixels, Twice().upscale(small))


def test_sizes_between_are_made_from_the_next_larger(stock: Any, request_of: Any) -> None:
    rendered = render_one(polished(stock), request_of(width=48, height=24))
    assert rendered.pixels.shape == (24, 48, 4)


class Counting(Twice):
    """Remembers the sides of what it enlarged."""

    def __init__(self) -> None:
        self.sides: list[int] = []

    def upscale(self, pixels: Pixels) -> Pixels:
        self.sides.append(pixels.shape[0])
        return pixels.repeat(4, axis=0).repeat(4, axis=1)


@pytest.mark.parametrize(
    ("side", "from_sides"),
    [(64, []), (128, [64]), (512, [64, 256]), (1024, [64, 256]), (2048, [64, 256, 512])],
)
def test_each_size_is_reached_by_its_way(side: int, from_sides: list[int]) -> None:
    """No picture is enlarged that has more pixels than a quarter of the largest size."""
    enlarger = Counting()
    large = upscale_to(np.full((64, 64, 4), 90, np.uint8), Size(width=side, height=side), enlarger)
    assert large.shape == (side, side, 4)
    assert enlarger.sides == from_sides


def test_polish_of_several_sizes_shares_forward_passes(stock: Any, request_of: Any) -> None:
    engine = engine_of(polished(stock), mode="exact")
    requests = [request_of(width=side, height=side, seed=side) for side in (16, 32, 64)]
    alone = [render_one(polished(stock), request, mode="exact").pixels for request in requests]
    together = render_all(engine, requests)
    assert engine.forward_passes == requests[0].num_inference_steps
    for request, pixels in zip(requests, alone, strict=True):
        assert np.array_equal(together[request.id].pixels, pixels)


def test_polish_from_latents_needs_no_way_through_pixels(stock: Any, request_of: Any) -> None:
    """With little strength the picture stays near the draft's, nearer than with much."""
    pipeline = polished(stock)
    draft = request_of()
    album = {"1" * 64: read_init_image(latents_bytes(latents_of(pipeline.base, draft)))}
    picture = Twice().upscale(render_one(pipeline.base, draft).pixels).astype(int)

    def distance(strength: float) -> float:
        request = request_of(
            width=32, height=32, num_inference_steps=10, init_image="1" * 64, strength=strength
        )
        made = render_one(pipeline, request, images=album.__getitem__).pixels
        return float(np.abs(made - picture).mean())

    assert distance(0.1) < distance(0.9)


def test_pictures_to_start_from_are_brought_to_size(stock: Any, request_of: Any) -> None:
    large = np.full((40, 40, 4), 200, np.uint8)
    request = request_of(width=32, height=32, init_image="2" * 64, strength=0.5)
    rendered = render_one(polished(stock), request, images=lambda digest: large)
    assert rendered.pixels.shape == (32, 32, 4)


@pytest.mark.parametrize(
    "latents", [torch.zeros(3, 2, 2), torch.full((16, 2, 2), torch.nan)], ids=["shape", "nan"]
)
def test_latents_that_do_not_fit_are_refused(
    stock: Any, request_of: Any, latents: torch.Tensor
) -> None:
    base = Sd3Pipeline(stock, max_sequence_length=LENGTH)
    shape = base.begin(request_of()).latents.shape
    request = request_of(init_image="3" * 64, strength=0.5)
    given_latents = latents if latents.shape[0] == 3 else torch.full(shape, torch.nan)
    with pytest.raises(OutOfBounds, match="latents"):
        base.begin(request, init=given_latents)


def test_a_mask_is_a_picture(stock: Any, request_of: Any) -> None:
    request = request_of(init_image="4" * 64, mask_image="4" * 64)
    latents = torch.zeros(16, 2, 2)
    (outcome,) = engine_of(polished(stock), images=lambda digest: latents).generate([request])
    assert isinstance(outcome, FailedRequest)
    assert "no picture" in str(outcome.error)


def test_files_of_pictures_and_latents_are_told_apart() -> None:
    latents = np.random.default_rng(1).normal(size=(4, 2, 3)).astype(np.float32)
    assert latents_bytes(latents) == latents_bytes(latents.copy())
    read = read_init_image(latents_bytes(latents))
    assert isinstance(read, torch.Tensor)
    assert np.array_equal(read.numpy(), latents)
    pixels = np.full((3, 5, 4), 7, np.uint8)
    picture = read_init_image(png_bytes(pixels, text={}))
    assert isinstance(picture, np.ndarray)
    assert np.array_equal(picture, pixels)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no file at all",
        latents_bytes(np.zeros((1, 2, 2), np.float32))[:-3],
        latents_bytes(np.zeros((2, 2), np.float32)),
        latents_bytes(np.zeros((1, 2, 2), np.float64)),  # type: ignore[arg-type]
    ],
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(BadImage):
        read_init_image(data)


BOXES = st.builds(
    lambda x, y, w, h: Rect(x=int(x * 200), y=int(y * 100), width=1 + int(w * (199 - x * 200)),
                            height=1 + int(h * (99 - y * 100))),
    *[st.floats(0, 0.99) for _ in range(4)],
)  # fmt: skip


@given(st.lists(st.one_of(st.none(), BOXES), max_size=4))
def test_the_picture_stands_inside_the_canvas_and_clear_of_text_unless_crowded(
    boxes: list[Rect | None],
) -> None:
    layers = tuple(TextLayer(text="x", box=box) for box in boxes)
    request = GenerationRequest(
        prompt="a", width=200, height=100, num_inference_steps=1, guidance_scale=0,
        text_layers=layers,
    )  # fmt: skip
    plate = plate_of(request)
    assert plate.width == plate.height >= 1
    assert plate.x + plate.width <= 200
    assert plate.y + plate.height <= 100
    placed = with_boxes(layers, 200, 100)
    assert all(layer.box is not None for layer in placed)
    assert [layer.box for layer in placed if layer.box in boxes] == [b for b in boxes if b]
    if plate.width < 90:  # it made room
        assert not any(_meet(plate, layer.box) for layer in placed if layer.box)


def _meet(rect: Rect, other: Rect) -> bool:
    return (
        rect.x < other.x + other.width
        and other.x < rect.x + rect.width
        and rect.y < other.y + other.height
        and other.y < rect.y + rect.height
    )


def test_text_stands_in_its_box_and_the_picture_in_its_place(stock: Any, request_of: Any) -> None:
    pipeline = TypesetPipeline(polished(stock), Fonts())
    layer = TextLayer(text="SALE", colour="#102030", plate="auto")
    request = request_of(width=120, height=160, text_layers=(layer,))
    rendered = render_one(pipeline, request)
    plate = plate_of(request)
    alone = render_one(polished(stock), request_of(width=plate.width, height=plate.height)).pixels
    placed = rendered.pixels[plate.y : plate.y + plate.height, plate.x : plate.x + plate.width]
    assert np.array_equal(placed, alone)
    box = with_boxes(request.text_layers, 120, 160)[0].box
    assert box is not None
    assert rendered.pixels[box.y : box.y + box.height].any()
    rest = rendered.pixels.copy()
    rest[plate.y : plate.y + plate.height, plate.x : plate.x + plate.width] = 0
    rest[box.y : box.y + box.height, box.x : box.x + box.width] = 0
    assert not rest.any()


def test_faulty_text_is_refused_before_any_step(stock: Any, request_of: Any) -> None:
    engine = engine_of(TypesetPipeline(polished(stock), Fonts()))
    layers = [
        TextLayer(text="SALE", font="No Such Font"),
        TextLayer(text="SALE", font_digest="0" * 64),
        TextLayer(text="売り出し"),
    ]
    for layer in layers:
        (outcome,) = engine.generate([request_of(width=120, height=160, text_layers=(layer,))])
        assert isinstance(outcome, FailedRequest)
        assert isinstance(outcome.error, InvalidRequest)
    assert engine.forward_passes == 0
