"""The image a call starts from: an uploaded image, or one rendered here recently."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from app.api.requests import ImagesRequest, InitImageSource, size_of
from app.api.responses import Problem
from app.digest import digest_bytes
from app.image.png import Pixels, png_bytes, read_any_png, read_png
from app.image.resize import resize
from app.route.by_role import DeployedModel
from app.types import Size
from deployments.calls.idempotency import CallRefused
from deployments.calls.recent_images import RecentImage

CLEAR = 128
"""Alpha below this is transparent: there the image is rendered again, as in OpenAI's API."""


@dataclass(frozen=True, slots=True)
class UploadedFiles:
    """The files of an edit, as they were uploaded."""

    image: bytes
    mask: bytes | None = None


@dataclass(frozen=True, slots=True)
class InitImage:
    """The image that a call's requests start from, and its files by digest."""

    origin: InitImageSource | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


def from_upload(body: ImagesRequest, upload: UploadedFiles, served: DeployedModel) -> InitImage:
    """Returns the uploaded image, resized to the requested size. Raises BadImage, CallRefused."""
    size = size_of(body.size, served)
    image = _resized(read_any_png(upload.image), size)
    mask = None if upload.mask is None else _resized(_mask_from_alpha(upload.mask), size)
    files = {digest_bytes(file): file for file in (image, mask) if file is not None}
    return InitImage(
        InitImageSource(
            request=None,
            start=digest_bytes(image),
            mask=None if mask is None else digest_bytes(mask),
        ),
        files,
    )


def from_recent(body: ImagesRequest, recent: RecentImage, served: DeployedModel) -> InitImage:
    """Returns a recent image to continue from; with a strength, a new image starts from it.

    It starts from its latents if both models share a latent space, otherwise from its pixels.
    """
    image = recent.image
    if body.strength is None:
        origin = InitImageSource(request=image.request, start=digest_bytes(image.png))
        return InitImage(origin, recent.files)
    if image.latents is not None and _same_space(recent.served, served):
        file = image.latents
    else:
        file = _resized(read_png(image.png), size_of(body.size, served))
    origin = InitImageSource(request=image.request, start=digest_bytes(file))
    return InitImage(origin, {digest_bytes(file): file})


def _same_space(model: DeployedModel, other: DeployedModel) -> bool:
    space = model.model.latent_space
    return bool(space) and space == other.model.latent_space


def _resized(pixels: Pixels, size: Size) -> bytes:
    return png_bytes(resize(pixels, size), text={})


def _mask_from_alpha(data: bytes) -> Pixels:
    mask = read_any_png(data)
    transparent = mask[..., 3] < CLEAR
    if not transparent.any():
        raise CallRefused(
            Problem(
                status=422,
                code="invalid_mask",
                param="mask",
                message="the mask has no transparent pixel; set alpha to 0 where to render again",
            )
        )
    white = np.full_like(mask, 255)
    white[~transparent, :3] = 0
    return white
