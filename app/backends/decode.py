"""Decodes the answer of an images API into pixels, or rejects it. No URL is fetched."""

from base64 import b64decode
from binascii import Error as NoBase64

from pydantic import BaseModel, ValidationError

from app.backends.errors import rejected_error
from app.errors import BackendRejected, BadImage
from app.image.png import Pixels, read_any_png
from app.types import GenerationRequest


class _ImageData(BaseModel):
    b64_json: str | None = None
    url: str | None = None


class _Answer(BaseModel):
    """The fields of an answer that are read; providers may add others."""

    data: list[_ImageData]


def max_answer_bytes(request: GenerationRequest) -> int:
    """Returns the largest accepted answer in bytes: twice the raw pixels, in base64, plus 1 MiB."""
    return request.width * request.height * 4 * 3 + 2**20


def read_image(data: bytes, request: GenerationRequest, *, host: str) -> Pixels:
    """Returns the answer's one image as RGBA pixels of exactly the requested size.

    Raises BackendRejected, retryable unless the provider gives only URLs of images.
    """
    try:
        pictures = _Answer.model_validate_json(data).data
    except ValidationError as exc:
        raise _bad(host, request, "is not JSON with images") from exc
    if len(pictures) != 1:
        raise _bad(host, request, f"holds {len(pictures)} images, not 1")
    if pictures[0].b64_json is None:
        what = (
            "its answer has no b64_json, and image URLs are not fetched; register the version "
            "with --option response_format=b64_json"
        )
        raise rejected_error(host, request, what)
    return _decoded(pictures[0].b64_json, request, host)


def _decoded(text: str, request: GenerationRequest, host: str) -> Pixels:
    try:
        png = b64decode(text, validate=True)
        pixels = read_any_png(png, max_pixels=request.width * request.height)
    except NoBase64 as exc:
        raise _bad(host, request, "holds an image that is not base64") from exc
    except BadImage as exc:
        raise _bad(host, request, f"holds no image of the requested size: {exc}") from exc
    height, width, _ = pixels.shape
    if (width, height) != (request.width, request.height):
        problem = f"holds an image of {width}x{height}, not {request.width}x{request.height}"
        raise _bad(host, request, problem)
    return pixels


def _bad(host: str, request: GenerationRequest, what: str) -> BackendRejected:
    return rejected_error(host, request, f"its answer {what} and is discarded", retryable=True)
