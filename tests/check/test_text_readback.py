"""Reading back: what was set is read, what is gone is missed, what nobody can read is said."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.check.scores import score_image
from app.check.text_readback import TextRead, can_read, read_back, worst_error
from app.models.text.fonts import Fonts
from app.models.typography import typeset
from app.types import GenerationRequest, Measure, Rect
from app.types.text_layer import TextLayer, with_boxes

UPPER, LOWER = Rect(x=10, y=10, width=236, height=60), Rect(x=10, y=180, width=236, height=60)


def canvas(*layers: TextLayer) -> NDArray[np.uint8]:
    clear = np.zeros((256, 256, 4), np.uint8)
    return typeset(clear, with_boxes(layers, 256, 256), Fonts())[0]


def test_each_layer_is_read_from_its_own_box() -> None:
    layers = (
        TextLayer(text="Red Potion", box=UPPER, colour="#ffffff", plate="auto"),
        TextLayer(text="+50 health", box=LOWER, colour="#ffffff", plate="auto"),
    )
    first, second = read_back(canvas(*layers), layers)
    assert (first.read, first.error_rate) == ("Red Potion", 0)
    assert (second.read, second.error_rate) == ("+50 health", 0)


def test_a_layer_without_a_box_is_read_from_its_band() -> None:
    layer = TextLayer(text="SALE", colour="#ffffff", plate="auto")
    (read,) = read_back(canvas(layer), (layer,))
    assert read.read == "SALE"


def test_text_that_is_gone_or_another_is_an_error_of_the_picture() -> None:
    layer = TextLayer(text="SALE", box=UPPER, colour="#ffffff", plate="auto")
    other = layer.replace(text="SAFE")
    request = GenerationRequest(
        prompt="a", width=256, height=256, num_inference_steps=1, guidance_scale=0,
        text_layers=(layer,),
    )  # fmt: skip
    errors = [
        score_image(pixels, request, None, prompt="a")[Measure.TEXT_ERROR]
        for pixels in (canvas(layer), canvas(other), np.zeros((256, 256, 4), np.uint8))
    ]
    assert errors == [0, 0.25, 1]


def test_a_script_the_reader_was_not_taught_is_said_and_not_guessed() -> None:
    hebrew = TextLayer(text="שלום", box=UPPER, font="Rubik-SemiBold", plate="auto")
    latin = TextLayer(text="SALE", box=LOWER, plate="auto")
    read = read_back(canvas(hebrew, latin), (hebrew, latin))
    assert read[0] == TextRead(wanted="שלום")
    assert read[1].error_rate == 0
    assert worst_error(read) is None
    assert worst_error(read[1:]) == 0
    assert worst_error(()) is None


@pytest.mark.parametrize(
    ("text", "known"),
    [("Größe 50 %", True), ("売り出し", True), ("скидка", False), ("שלום", False), ("123", True)],
)
def test_which_scripts_are_known(text: str, known: bool) -> None:
    assert can_read(text) is known
