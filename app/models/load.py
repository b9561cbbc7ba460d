"""Loads a model folder as a pipeline or backend: safetensors only, nothing is downloaded."""

import json
from pathlib import Path
from typing import Any

import torch

from app.engine.pipeline import Pipeline
from app.environment import use_strict_blas
from app.errors import DigestMismatch, InvalidRequest, ModelNotFound
from app.models.any_diffusers import DiffusersBackend
from app.models.bundled import base_of, refuse_code, weights_digest
from app.models.deferred_import import defer_imports
from app.models.device import Attention, choose_attention, compile_blocks
from app.models.polish import PolishedPipeline
from app.models.sd3 import Sd3Pipeline
from app.models.text.fonts import Fonts
from app.models.typeset import TypesetPipeline
from app.models.upscaler import load_upscaler
from app.types import ModelVersion

SELDOM_USED = ("scipy.stats", "scipy.integrate", "scipy.ndimage")
"""What diffusers imports for schedulers that few pipelines use; it takes a second to load."""
POLISH, TYPOGRAPHY = "polish", "typography"
"""Families that continue from another model."""


def load(
    folder: Path,
    version: ModelVersion,
    *,
    threads: int = 1,
    attention: Attention = "native",
    compiled: bool = False,
    graphs: bool = False,
    fonts: Path | None = None,
) -> Pipeline | DiffusersBackend:
    """Loads a diffusers folder onto the GPU (bf16) or, without one, the CPU (fp32).

    A model that continues from another one is loaded with it. `threads` is the number of CPU
    threads of this process; it is recorded because the order of sums may depend on it. `fonts` is a
    folder of further fonts for a model that sets text. `compiled` compiles each transformer block,
    `graphs` replays a CUDA graph per row bucket. Raises ModelNotFound, DigestMismatch when the
    files are not the version's, or InvalidRequest when this device cannot do what is requested.
    """
    use_strict_blas()
    torch.set_num_threads(threads)
    refuse_code(folder)
    _verify(folder, version)
    base = base_of(folder)
    if base is not None:
        beneath = load(
            *base,
            threads=threads,
            attention=attention,
            compiled=compiled,
            graphs=graphs,
            fonts=fonts,
        )
        return _load_chained(folder, version, beneath, base[1], fonts)
    stock = _from_pretrained(folder)
    if version.family == "sd3":
        kernel = choose_attention(stock.transformer, attention)
        if compiled:
            compile_blocks(stock.transformer)
        return Sd3Pipeline(
            stock,
            max_sequence_length=version.max_sequence_length,
            attention=kernel,
            graphs=graphs,
        )
    return DiffusersBackend(stock)


def _load_chained(
    folder: Path,
    version: ModelVersion,
    beneath: Pipeline | DiffusersBackend,
    base: ModelVersion,
    fonts: Path | None,
) -> Pipeline:
    if isinstance(beneath, DiffusersBackend):
        raise InvalidRequest(
            f"{version.reference} goes on from {base.reference}, which cannot be driven step by "
            "step; make it on one of the SD3 family"
        )
    if version.family == POLISH:
        return PolishedPipeline(beneath, load_upscaler(folder), base.sizes[0])
    if version.family == TYPOGRAPHY:
        return TypesetPipeline(beneath, Fonts(fonts))
    raise ModelNotFound(
        f"{version.reference} is of the family {version.family!r}, which nothing here can drive; "
        f"known beside sd3 and diffusers' own: {POLISH}, {TYPOGRAPHY}"
    )


def _verify(folder: Path, version: ModelVersion) -> None:
    digest = weights_digest(folder)
    if digest != version.weights_digest:
        raise DigestMismatch(
            f"the files of {version.reference} in {folder} have digest {digest[:12]}, its version "
            f"says {version.weights_digest[:12]}; restore the files or register a new version"
        )


def _from_pretrained(folder: Path) -> Any:
    """Loads with diffusers, quietly; absent text encoders are passed as None, as it requires."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()  # it warns about packages that are not used here
    transformers_logging.disable_progress_bar()
    defer_imports(*SELDOM_USED)
    import diffusers

    diffusers.utils.logging.disable_progress_bar()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    stock = diffusers.DiffusionPipeline.from_pretrained(
        folder,
        dtype=torch.bfloat16 if device == "cuda" else torch.float32,
        use_safetensors=True,
        local_files_only=True,
        **dict.fromkeys(_absent_parts(folder)),
    )
    return stock.to(device)


def _absent_parts(folder: Path) -> list[str]:
    index = folder / "model_index.json"
    if not index.is_file():
        raise ModelNotFound(f"no model_index.json in {folder}; give a diffusers model folder")
    parts = json.loads(index.read_text())
    return [name for name, part in parts.items() if part == [None, None]]
