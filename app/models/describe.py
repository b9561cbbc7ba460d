"""Describes a model for the registry: a diffusers folder, without loading it, or a hosted one."""

import json
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.digest import digest, digest_folder
from app.errors import DigestMismatch, InvalidRequest, ModelNotFound
from app.fleet.hosted_requests import STEPS as TAKES_STEPS
from app.fleet.hosted_requests import SUPPORTED_FIELDS
from app.models.bundled import (
    VERSION,
    bundled_models,
    bundled_names,
    read_version,
    refuse_code,
    weights_digest,
)
from app.types import HostedEndpoint, ModelVersion, Size
from app.types.registered_version import require_name

SD3 = "StableDiffusion3Pipeline"
STEPS, GUIDANCE_SCALE, MAX_SEQUENCE_LENGTH = 28, 7.0, 256
"""Defaults of diffusers' SD3 pipeline."""


HUB = re.compile(r"hub:[\w.-]+/[\w.-]+@[\w.-]+")
"""The source of weights, with its revision; recorded only, nothing is fetched from it."""


def describe_bundled(reference: str, name: str) -> ModelVersion:
    """Returns a bundled model under a new name. Raises ModelNotFound."""
    _require_free(name)
    models = bundled_models()
    if reference not in models:
        raise ModelNotFound(
            f"{reference!r} is neither a folder nor a bundled model ({', '.join(models)})"
        )
    return models[reference].replace(name=name, version="0", source=f"bundled:{reference}")


def describe(
    folder: Path,
    name: str,
    *,
    licence: str = "",
    source: str = "",
    sizes: Sequence[Size] = (),
    steps: int | None = None,
    guidance_scale: float | None = None,
) -> ModelVersion:
    """Returns the version in a folder: from its `version.json`, else from its configurations.

    Arguments override what is read. Raises ModelNotFound for a folder that is not a diffusers model
    or holds pickles or code, DigestMismatch when the files are not those that its `version.json`
    names, InvalidRequest for a bundled model's name, a source other than
    `hub:owner/name@revision`, or when no licence is given or found.
    """
    _require_free(name)
    if source and not HUB.fullmatch(source):
        raise InvalidRequest(
            f"the source {source!r} is invalid; write hub:owner/name@revision, or leave it out"
        )
    refuse_code(folder)
    parts = _parts(folder)
    described = _own(folder) if (folder / VERSION).is_file() else _derived(folder, name, parts)
    model = described.replace(
        name=name,
        version="0",
        licence=licence or described.licence,
        source=source or described.source or "folder",
        folder=str(folder.absolute()),
        sizes=tuple(sizes) or described.sizes,
        num_inference_steps=described.num_inference_steps if steps is None else steps,
        guidance_scale=described.guidance_scale if guidance_scale is None else guidance_scale,
    )
    if not model.licence:
        raise InvalidRequest(f"{folder} names no licence for {name}; give --licence")
    _require_critic(model, folder)
    return model


def hosted_endpoint(
    url: str,
    model: str,
    *,
    options: Sequence[tuple[str, str]] = (),
    until: date | None = None,
) -> HostedEndpoint:
    """Returns the endpoint of a hosted model; raises InvalidRequest. Does not contact it."""
    try:
        return HostedEndpoint(url=url, model=model, options=tuple(options), until=until)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        raise InvalidRequest(
            f"the hosted model cannot be called: {first['loc'][0]} {first['input']!r}: "
            f"{first['msg']}"
        ) from exc


def describe_hosted(
    endpoint: HostedEndpoint,
    name: str,
    *,
    licence: str,
    sizes: Sequence[Size],
    capabilities: Sequence[str] = (),
    steps: int | None = None,
    guidance_scale: float | None = None,
) -> ModelVersion:
    """Returns a version that an external service renders, as its provider describes it.

    The provider holds the weights and may change them without notice: the digest covers the
    address, the model's id, the options and the capabilities. Raises InvalidRequest. Does not
    contact the provider.
    """
    _require_free(name)
    unknown = sorted(set(capabilities) - SUPPORTED_FIELDS.keys())
    if unknown:
        known = "; ".join(f"{word}: {meaning}" for word, meaning in SUPPORTED_FIELDS.items())
        raise InvalidRequest(f"--capability {unknown[0]} is unknown; use one of: {known}")
    if not licence or not sizes:
        raise InvalidRequest(
            f"{name} has no licence or no size; give --licence, under which its images may be "
            "used, and each --size that the provider renders"
        )
    if TAKES_STEPS not in capabilities and (steps is not None or guidance_scale is not None):
        raise InvalidRequest(
            f"--steps and --guidance-scale are never sent to {name}; leave them out, or add "
            "--capability steps if the provider accepts them"
        )
    accepted = tuple(sorted(set(capabilities)))
    options = [list(option) for option in endpoint.options]
    return ModelVersion(
        name=name,
        version="0",
        family="hosted",
        weights_digest=digest(["hosted", endpoint.url, endpoint.model, options, list(accepted)]),
        licence=licence,
        source="hosted provider",
        capabilities=("text-to-image", *accepted),
        sizes=tuple(sizes),
        num_inference_steps=1 if steps is None else steps,
        guidance_scale=0.0 if guidance_scale is None else guidance_scale,
        max_sequence_length=0,
        hosted=endpoint,
    )


def _require_free(name: str) -> None:
    require_name(name)
    if name in bundled_names():
        raise InvalidRequest(
            f"the name {name} belongs to a bundled model; choose another, such as draft"
        )


def _parts(folder: Path) -> dict[str, Any]:
    index = folder / "model_index.json"
    if not index.is_file():
        raise ModelNotFound(f"no model_index.json in {folder}; give a diffusers model folder")
    if not any(folder.rglob("*.safetensors")):
        raise ModelNotFound(f"no safetensors in {folder}; save the model with save_pretrained")
    return _read(index)


def _own(folder: Path) -> ModelVersion:
    try:
        version = read_version(folder)
    except ValidationError as exc:
        raise InvalidRequest(
            f"version.json in {folder} is invalid: {exc.errors()[0]['msg']}; correct it, or "
            "remove it to have the folder described again"
        ) from exc
    digest = weights_digest(folder)
    if version.weights_digest != digest:
        raise DigestMismatch(
            f"the files in {folder} have digest {digest[:12]}, but its version.json names "
            f"{version.weights_digest[:12]}; restore the files, or remove version.json to have "
            "the folder described again"
        )
    return version


def _derived(folder: Path, name: str, parts: dict[str, Any]) -> ModelVersion:
    kind = str(parts.get("_class_name", ""))
    vae = _config(folder / "vae")
    latents = f"{vae.get('_class_name', 'vae')}-{digest_folder(folder / 'vae')[:12]}" if vae else ""
    return ModelVersion(
        name=name,
        version="0",
        family="sd3" if kind == SD3 else kind.removesuffix("Pipeline").lower(),
        weights_digest=weights_digest(folder),
        licence="",
        latent_space=latents,
        capabilities=_capabilities(kind, vae),
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE_SCALE,
        max_sequence_length=MAX_SEQUENCE_LENGTH,
    )


def _capabilities(kind: str, vae: dict[str, Any]) -> tuple[str, ...]:
    """Returns the capabilities: all of the engine's for SD3, text-to-image for any other class."""
    pictures = ("image-to-image", "inpainting") if kind == SD3 else ()
    transparent = ("transparent",) if vae.get("out_channels") == 4 else ()
    return ("text-to-image", *pictures, *transparent)


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    return _read(file) if file.is_file() else {}


def _read(file: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except ValueError as exc:
        raise InvalidRequest(f"{file} is not JSON ({exc}); save the model again") from exc
    return document


def _require_critic(model: ModelVersion, folder: Path) -> None:
    critic = model.critic
    if critic and (Path(critic).name != critic or not (folder.parent / critic).is_dir()):
        raise ModelNotFound(
            f"version.json in {folder} names the critic {critic!r}, which is not beside it; "
            "put its folder there or remove the name"
        )
