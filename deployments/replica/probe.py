"""The trial of a model version: what it must show before it paints for anybody."""

import numpy as np

from app.engine.engine import Engine
from app.engine.results import Failed, Preview, Rendered
from app.engine.state import Delivery
from app.errors import (
    DigestMismatch,
    EngineError,
    InvalidRequest,
    ModelNotFound,
    OutOfMemory,
)
from app.generate.renderer import driver_of
from app.models.any_diffusers import WholePipeline
from app.settings import Settings
from app.types import GenerationRequest, ModelVersion
from deployments.args import PainterArgs
from deployments.replica.inputs import Album

REASONS: tuple[tuple[type[Exception], str], ...] = (
    (DigestMismatch, "its files are not those that were registered"),
    (ModelNotFound, "its files are not there"),
    (InvalidRequest, "it does not fit this role"),
    (OutOfMemory, "there is no memory for it"),
    (EngineError, "it does not paint"),
)


def reason_of(error: Exception) -> str:
    """What anybody may be told of a failed trial: no paths, nothing foreign."""
    known = (reason for kind, reason in REASONS if isinstance(error, kind))
    return next(known, "it does not load")


def check_fit(model: ModelVersion, deployed: ModelVersion) -> None:
    """Raises InvalidRequest for a version that could not answer what the deployed one was asked.

    Requests are on their way that were checked against the other version, and drafts are around
    whose latents are to be gone on from: whatever one could do, both must.
    """
    if model.latent_space != deployed.latent_space:
        raise _misfit(model, f"its latent space is {model.latent_space!r}", deployed)
    if not set(deployed.capabilities) <= set(model.capabilities):
        raise _misfit(model, f"it can only do {', '.join(model.capabilities)}", deployed)
    if model.sizes and not (deployed.sizes and set(deployed.sizes) <= set(model.sizes)):
        raise _misfit(model, f"it only paints {', '.join(map(str, model.sizes))}", deployed)


def _misfit(model: ModelVersion, found: str, deployed: ModelVersion) -> InvalidRequest:
    return InvalidRequest(
        f"{model.reference} cannot take over from {deployed.reference}, with which the service was "
        f"deployed: {found}; deploy again to change what the role can do"
    )


def engine_of(args: PainterArgs, model: ModelVersion, settings: Settings, album: Album) -> Engine:
    """The model loaded, its files verified, and warm: it has painted once.

    Raises ModelNotFound, DigestMismatch, InvalidRequest for a model that takes no steps,
    EngineError for one whose picture is none, and what its libraries say of files they cannot
    read.
    """
    driver = driver_of(model, settings, mode=args.mode, threads=args.threads, images=album)
    if isinstance(driver, WholePipeline):
        raise InvalidRequest(f"{model.reference} cannot be driven step by step; deploy another")
    try:
        _warm_up(driver, args, model)
    except BaseException:
        driver.close()
        raise
    return driver


def _warm_up(engine: Engine, args: PainterArgs, model: ModelVersion) -> None:
    """Paint once before anybody waits: a first pass loads kernels, a preview fits its colours."""
    request = GenerationRequest(
        prompt="warm",
        width=args.size.width,
        height=args.size.height,
        num_inference_steps=2,
        guidance_scale=2,
    )
    engine.submit(request, Delivery(preview_every=1))
    with np.errstate(invalid="ignore"):  # previews are shown of what turns out to be no numbers
        while engine.busy:
            for event in engine.step():
                _check(event.said, model)


def _check(said: Preview | Rendered | Failed, model: ModelVersion) -> None:
    """The engine refuses latents that are no numbers; pixels that were none are one colour."""
    if isinstance(said, Failed):
        raise said.error
    if isinstance(said, Rendered) and (said.pixels == said.pixels[0, 0]).all():
        raise EngineError(
            f"{model.reference} paints a single colour; its weights are damaged, register others"
        )
