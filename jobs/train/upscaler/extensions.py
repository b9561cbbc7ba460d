"""The two models that extend the starter: polish, which enlarges it, and typography on polish."""

import json
from pathlib import Path
from typing import Any

from app.models.bundled import BASE, VERSION, BaseModelReference, read_version, weights_digest
from app.models.load import POLISH, TYPOGRAPHY
from app.types import ModelVersion, Size

SOURCE = "python -m jobs dev train-upscaler"
SIDES = (256, 128, 512, 1024, 2048)
"""The sides that polish offers, in pixels; the first is the default."""
STEPS = 24
LAYOUT = {"edition": 1}
"""Increase it when the layout of text changes: it is part of the weights digest."""


def write_extensions(polish: Path, base: Path, typography: Path) -> tuple[ModelVersion, ...]:
    """Writes and returns the versions of polish and typography.

    The weights of polish must be in its folder; typography has none.
    """
    return _write_polish(polish, base), _write_typography(typography, polish)


def _write_polish(folder: Path, base: Path) -> ModelVersion:
    version = read_version(base)
    return _write(
        folder,
        base,
        family=POLISH,
        name="starter-polish",
        capabilities=(*version.capabilities, "img2img"),
        sizes=tuple(Size(width=side, height=side) for side in SIDES),
        num_inference_steps=STEPS,
    )


def _write_typography(folder: Path, base: Path) -> ModelVersion:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "layout.json").write_text(json.dumps(LAYOUT, indent=1) + "\n")
    version = read_version(base)
    return _write(
        folder,
        base,
        family=TYPOGRAPHY,
        name="starter-typography",
        capabilities=(*version.capabilities, "text"),
        sizes=(),
        critic="",
    )


def _write(folder: Path, base: Path, **fields: Any) -> ModelVersion:
    base_version = read_version(base)
    reference = BaseModelReference(folder=base.name, weights_digest=base_version.weights_digest)
    (folder / BASE).write_text(reference.model_dump_json(indent=1) + "\n")
    version = base_version.replace(
        **fields, source=SOURCE, seconds_per_image=None, weights_digest=weights_digest(folder)
    )
    (folder / VERSION).write_text(version.model_dump_json(indent=1) + "\n")
    return version
