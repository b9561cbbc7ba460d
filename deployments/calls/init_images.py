"""The image a call starts from: one that was sent along, or one rendered here recently."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
"""Alpha below this is transparent: there a mask asks for new pixels, as in OpenAI's API."""


@dataclass(frozen=True, slots=True)
class SentFiles:
    """The files that were sent with a call, unchanged."""

    picture: bytes
    mask: bytes | None = None


@dataclass(frozen=True, slots=True)
class InitImage:
    """Where requests start, and the files that they name."""

    origin: InitImageSource | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


def from_sent_files(body: ImagesRequest, sent: SentFiles, served: DeployedModel) -> InitImage:
    """Starts from the caller's image, resized to the requested size; raises BadImage."""
    size = size_of(body.size, served)
    picture = _fitted(read_any_png(sent.picture), size)
    mask = None if sent.mask is None else _fitted(_mask_from_alpha(sent.mask), size)
    files = {digest_bytes(file): file for file in (picture, mask) if file is not None}
    return InitImage(
        InitImageSource(
            request=None,
            start=digest_bytes(picture),
            mask=None if mask is None else digest_bytes(mask),
        ),
        files,
    )


def from_recent(body: ImagesRequest, recent: RecentImage, served: DeployedModel) -> InitImage:
    """Starts from an image rendered here: the same image, or a new one with a strength.

    Its latents are used by a model of the same latent space; any other model gets its pixels.
    """
    image = recent.image
    if body.strength is None:
        origin = InitImageSource(request=image.request, start=digest_bytes(image.png))
        return InitImage(origin, recent.files)
    if image.latents is not None and _same_space(recent.served, served):
        file = image.latents
    else:
        file = _fitted(read_png(image.png), size_of(body.size, served))
    origin = InitImageSource(request=image.request, start=digest_bytes(file))
    return InitImage(origin, {digest_bytes(file): file})


def unknown_image(code: str, what: str) -> CallRefused:
    """Returns the refusal for an image that is not among those rendered recently."""
    return CallRefused(
        Problem(
            status=404,
            code=code,
            param=what,
            message=f"the picture named as {what} is not at hand, or no longer; paint it again, "
            "with the same prompt and seed it is the same",
        )
    )


def _same_space(model: DeployedModel, other: DeployedModel) -> bool:
    space = model.model.latent_space
    return bool(space) and space == other.model.latent_space


def _fitted(pixels: Pixels, size: Size) -> bytes:
    return png_bytes(resize(pixels, size), text={})


def _mask_from_alpha(data: bytes) -> Pixels:
    mask = read_any_png(data)
    clear = mask[..., 3] < CLEAR
    if not clear.any():
        raise CallRefused(
            Problem(
                status=422,
                code="invalid_mask",
                param="mask",
                message="the mask is nowhere clear; clear (alpha 0) what is to be painted anew",
            )
        )
    white = mask.copy()
    white[...] = 255
    white[~clear, :3] = 0
    return white
