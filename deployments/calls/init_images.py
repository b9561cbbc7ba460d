"""What a call goes on from: a picture that came along, or one that was painted here before."""

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
"""Alpha below this is clear: there a mask asks for new pixels, as in OpenAI's API."""


@dataclass(frozen=True, slots=True)
class SentFiles:
    """The files that came along with a call, as they came."""

    picture: bytes
    mask: bytes | None = None


@dataclass(frozen=True, slots=True)
class InitImage:
    """Where requests begin, and the files that they name."""

    origin: InitImageSource | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


def from_sent_files(body: ImagesRequest, sent: SentFiles, served: DeployedModel) -> InitImage:
    """Start from a picture of the caller's, brought to size; raises BadImage."""
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
    """Go on from what was painted here: the same picture, or with a strength a new one from it.

    Its latents serve a model of the same latent space; any other sees its pixels.
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
    """What is not among the pictures painted a short while ago."""
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
