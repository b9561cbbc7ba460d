"""The probe of a model version before it serves calls: its files, its fit, and one render."""

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
from deployments.replica.engine_worker import InputFiles

REASONS: tuple[tuple[type[Exception], str], ...] = (
    (DigestMismatch, "its files are not those that were registered"),
    (ModelNotFound, "its files are missing"),
    (InvalidRequest, "it does not fit this role"),
    (OutOfMemory, "there is not enough memory for it"),
    (EngineError, "it does not render"),
)


def reason_of(error: Exception) -> str:
    """Returns the public reason of a failed probe, without paths and messages of libraries."""
    known = (reason for kind, reason in REASONS if isinstance(error, kind))
    return next(known, "it does not load")


def check_fit(model: ModelVersion, deployed: ModelVersion) -> None:
    """Raises InvalidRequest for a version that does not support all that the deployed one does.

    Calls are checked against the deployed version, and may continue from latents that it made.
    """
    if model.latent_space != deployed.latent_space:
        raise _mismatch(model, f"its latent space is {model.latent_space!r}", deployed)
    if not set(deployed.capabilities) <= set(model.capabilities):
        raise _mismatch(
            model, f"its capabilities are only {', '.join(model.capabilities)}", deployed
        )
    if model.sizes and not (deployed.sizes and set(deployed.sizes) <= set(model.sizes)):
        raise _mismatch(model, f"its sizes are only {', '.join(map(str, model.sizes))}", deployed)


def _mismatch(model: ModelVersion, value: str, deployed: ModelVersion) -> InvalidRequest:
    return InvalidRequest(
        f"{model.reference} cannot replace {deployed.reference}, with which the service was "
        f"deployed: {value}; deploy the service again to change what the role supports"
    )


def load_probed_engine(
    args: RendererArgs, model: ModelVersion, settings: Settings, input_files: InputFiles
) -> Engine:
    """Returns the model's engine after its files were verified and one image was rendered.

    Raises ModelNotFound, DigestMismatch, InvalidRequest for a model that the engine cannot run,
    EngineError for one that renders a single colour, and the errors of libraries that cannot read
    its files.
    """
    engine = load_engine(model, settings, mode=args.mode, threads=args.threads, images=input_files)
    if isinstance(engine, DiffusersBackend):
        raise InvalidRequest(
            f"the engine cannot run {model.reference} step by step; deploy another model"
        )
    try:
        _warm_up(engine, args, model)
    except BaseException:
        engine.close()
        raise
    return engine


def _warm_up(engine: Engine, args: RendererArgs, model: ModelVersion) -> None:
    """Renders one image: the first step loads kernels, the first preview fits its colours."""
    request = GenerationRequest(
        prompt="warm",
        width=args.size.width,
        height=args.size.height,
        num_inference_steps=2,
        guidance_scale=2,
    )
    engine.submit(request, Delivery(preview_every=1))
    with np.errstate(invalid="ignore"):  # a preview is encoded before NaN is detected
        while engine.busy:
            for event in engine.step():
                _check(event.result, model)


def _check(result: Preview | RenderedImage | FailedRequest, model: ModelVersion) -> None:
    """Raises for a failed image; NaN pixels become one colour (the engine refuses NaN latents)."""
    if isinstance(result, FailedRequest):
        raise result.error
    if isinstance(result, RenderedImage) and (result.pixels == result.pixels[0, 0]).all():
        raise EngineError(
            f"{model.reference} renders a single colour; its weights are damaged, register others"
        )
