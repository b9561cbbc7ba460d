"""The probe of a model version: what it must pass before it serves callers."""

import numpy as np

from app.engine.engine import Engine
from app.engine.results import FailedRequest, Preview, RenderedImage
from app.engine.state import Delivery
from app.errors import (
    DigestMismatch,
    EngineError,
    InvalidRequest,
    ModelNotFound,
    OutOfMemory,
)
from app.generate.renderer import load_engine
from app.models.any_diffusers import DiffusersBackend
from app.settings import Settings
from app.types import GenerationRequest, ModelVersion
from deployments.args import RendererArgs
from deployments.replica.inputs import InputFiles

REASONS: tuple[tuple[type[Exception], str], ...] = (
    (DigestMismatch, "its files are not those that were registered"),
    (ModelNotFound, "its files are not there"),
    (InvalidRequest, "it does not fit this role"),
    (OutOfMemory, "there is no memory for it"),
    (EngineError, "it does not paint"),
)


def reason_of(error: Exception) -> str:
    """Returns the public reason of a failed probe: no paths, no foreign messages."""
    known = (reason for kind, reason in REASONS if isinstance(error, kind))
    return next(known, "it does not load")


def check_fit(model: ModelVersion, deployed: ModelVersion) -> None:
    """Raises InvalidRequest for a version that could not serve requests meant for the deployed one.

    Requests in flight were checked against the other version, and callers may start from drafts
    whose latents it made: the new version must support everything the deployed one does.
    """
    if model.latent_space != deployed.latent_space:
        raise _mismatch(model, f"its latent space is {model.latent_space!r}", deployed)
    if not set(deployed.capabilities) <= set(model.capabilities):
        raise _mismatch(model, f"it can only do {', '.join(model.capabilities)}", deployed)
    if model.sizes and not (deployed.sizes and set(deployed.sizes) <= set(model.sizes)):
        raise _mismatch(model, f"it only paints {', '.join(map(str, model.sizes))}", deployed)


def _mismatch(model: ModelVersion, value: str, deployed: ModelVersion) -> InvalidRequest:
    return InvalidRequest(
        f"{model.reference} cannot take over from {deployed.reference}, with which the service was "
        f"deployed: {value}; deploy again to change what the role can do"
    )


def load_probed_engine(
    args: RendererArgs, model: ModelVersion, settings: Settings, input_files: InputFiles
) -> Engine:
    """Returns the model's engine, its files verified, after one render to warm it up.

    Raises ModelNotFound, DigestMismatch, InvalidRequest for a model that cannot be run step by
    step, EngineError for one whose image is a single colour, and the errors of its libraries for
    files they cannot read.
    """
    driver = load_engine(model, settings, mode=args.mode, threads=args.threads, images=input_files)
    if isinstance(driver, DiffusersBackend):
        raise InvalidRequest(f"{model.reference} cannot be driven step by step; deploy another")
    try:
        _warm_up(driver, args, model)
    except BaseException:
        driver.close()
        raise
    return driver


def _warm_up(engine: Engine, args: RendererArgs, model: ModelVersion) -> None:
    """Renders once before callers wait: a first pass loads kernels, a preview fits its colours."""
    request = GenerationRequest(
        prompt="warm",
        width=args.size.width,
        height=args.size.height,
        num_inference_steps=2,
        guidance_scale=2,
    )
    engine.submit(request, Delivery(preview_every=1))
    with np.errstate(invalid="ignore"):  # previews are encoded before NaN is noticed
        while engine.busy:
            for event in engine.step():
                _check(event.result, model)


def _check(probe_events: Preview | RenderedImage | FailedRequest, model: ModelVersion) -> None:
    """Raises for a failed image; NaN pixels show as one colour (the engine refuses NaN latents)."""
    if isinstance(probe_events, FailedRequest):
        raise probe_events.error
    if (
        isinstance(probe_events, RenderedImage)
        and (probe_events.pixels == probe_events.pixels[0, 0]).all()
    ):
        raise EngineError(
            f"{model.reference} paints a single colour; its weights are damaged, register others"
        )
