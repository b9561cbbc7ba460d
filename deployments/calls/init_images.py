"""What a call goes on from: a picture that came along, or one that was painted here before."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.api.requests import ImagesRequest, Origin, size_of
from app.api.responses import Problem
from app.digest import digest_bytes
from app.image.png import Pixels, png_bytes, read_any_png, read_png
from app.image.resize import resize
from app.route.by_role import Served
from app.types import Size
from deployments.calls.idempotency import NotAnswered
from deployments.calls.recent_images import Recent

CLEAR = 128
"""Alpha below this is clear: there a mask asks for new pixels, as in OpenAI's API."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The files that came along with a call, as they came."""

    picture: bytes
    mask: bytes | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Where requests begin, and the files that they name."""

    origin: Origin | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


def from_sent(asked: ImagesRequest, sent: Sent, served: Served) -> Start:
    """Start from a picture of the caller's, brought to size; raises BadImage."""
    size = size_of(asked.size, served)
    picture = _fitted(read_any_png(sent.picture), size)
    mask = None if sent.mask is None else _fitted(_white_where_clear(sent.mask), size)
    files = {digest_bytes(file): file for file in (picture, mask) if file is not None}
    return Start(
        Origin(
            request=None,
            start=digest_bytes(picture),
            mask=None if mask is None else digest_bytes(mask),
        ),
        files,
    )


def from_recent(asked: ImagesRequest, recent: Recent, served: Served) -> Start:
    """Go on from what was painted here: the same picture, or with a strength a new one from it.

    Its latents serve a model of the same latent space; any other sees its pixels.
    """
    painted = recent.painted
    if asked.strength is None:
        origin = Origin(request=painted.request, start=digest_bytes(painted.png))
        return Start(origin, recent.files)
    if painted.latents is not None and _same_space(recent.served, served):
        file = painted.latents
    else:
        file = _fitted(read_png(painted.png), size_of(asked.size, served))
    origin = Origin(request=painted.request, start=digest_bytes(file))
    return Start(origin, {digest_bytes(file): file})


def forgotten(code: str, what: str) -> NotAnswered:
    """What is not among the pictures painted a short while ago."""
    return NotAnswered(
        Problem(
            status=404,
            code=code,
            param=what,
            message=f"the picture named as {what} is not at hand, or no longer; paint it again, "
            "with the same prompt and seed it is the same",
        )
    )


def _same_space(one: Served, other: Served) -> bool:
    space = one.model.latent_space
    return bool(space) and space == other.model.latent_space


def _fitted(pixels: Pixels, size: Size) -> bytes:
    return png_bytes(resize(pixels, size), text={})


def _white_where_clear(data: bytes) -> Pixels:
    mask = read_any_png(data)
    clear = mask[..., 3] < CLEAR
    if not clear.any():
        raise NotAnswered(
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
