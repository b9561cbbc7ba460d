"""What a picture says of itself: enough to trace it, the model's mark, never the prompt."""

import io
import json

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from app.image.png import png_bytes, read_png
from app.store.png_metadata import image_text
from tests.store.values import provenance_of, request_for

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
PIXELS = np.arange(4 * 3 * 4, dtype=np.uint8).reshape(4, 3, 4)


def test_the_origin_survives_in_the_file_and_the_pixels_are_untouched() -> None:
    provenance = provenance_of(request_for(7))
    data = png_bytes(PIXELS, text=image_text(provenance))
    with Image.open(io.BytesIO(data)) as image:
        assert isinstance(image, PngImageFile)
        origin = json.loads(image.text["atelier"])
    assert origin == {
        "request_id": provenance.request_id,
        "prompt_digest": provenance.prompt_digest,
        "seed": 7,
        "num_inference_steps": 4,
        "guidance_scale": 4.5,
        "model": provenance.model,
        "weights_digest": provenance.weights_digest,
        "pipeline_version": "1",
    }
    assert (read_png(data) == PIXELS).all()


def test_other_tools_read_that_a_model_made_it() -> None:
    data = png_bytes(PIXELS, text=image_text(provenance_of(request_for(7))))
    with Image.open(io.BytesIO(data)) as image:
        description = image.getxmp()["xmpmeta"]["RDF"]["Description"]
    assert description["DigitalSourceType"] == SOURCE_TYPE


def test_the_prompt_stays_home() -> None:
    provenance = provenance_of(request_for(7, prompt="a secret potion"))
    assert "secret" not in str(image_text(provenance))


def test_the_same_image_has_the_same_bytes_whoever_made_it_and_however_often() -> None:
    provenance = provenance_of(request_for(7))
    elsewhere = provenance.replace(
        attempt=3, environment=provenance.environment.replace(processor="another processor")
    )
    texts = [image_text(provenance) for provenance in (provenance, elsewhere)]
    assert png_bytes(PIXELS, text=texts[0]) == png_bytes(PIXELS, text=texts[1])
