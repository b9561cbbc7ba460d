"""The measured cost curves of a model version: shipped beside it, else measured once and kept.

All workers of one home must pad to the same number of rows, so the first measurement stands.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.digest import digest
from app.engine.curve import CostCurve, measure
from app.engine.pipeline import Pipeline
from app.models.extended import Extended
from app.models.versions import base_of
from app.types import ModelVersion, Value

CURVES = "curves.json"


class CostCurves(Value):
    """What a model folder's `curves.json` holds."""

    curves: tuple[CostCurve, ...]


def knee_of(
    pipeline: Pipeline, version: ModelVersion, *, folder: Path, home: Path
) -> Callable[[int, int], int]:
    """The row budget by width and height for a loaded version on this device.

    A model that goes on from another one takes that one's steps, at that one's size.
    """
    base = base_of(folder)
    if base is not None and isinstance(pipeline, Extended):
        size, onward = base[1].sizes[0], knee_of(pipeline.base, base[1], folder=base[0], home=home)
        return lambda width, height: onward(size.width, size.height)

    def knee(width: int, height: int) -> int:
        return curve_of(pipeline, version, width, height, folder=folder, home=home).knee

    return knee


def curve_of(
    pipeline: Pipeline, version: ModelVersion, width: int, height: int, *, folder: Path, home: Path
) -> CostCurve:
    """The shipped curve for this size and device, else the one kept in `home`, else a new one."""
    settings = pipeline.settings
    wanted = (width, height, settings.device, settings.dtype, settings.threads)
    for curve in _shipped(folder):
        if (curve.width, curve.height, curve.device, curve.dtype, curve.threads) == wanted:
            return curve
    kept = home / "curves" / f"{digest([version.weights_digest, *wanted])}.json"
    if not kept.is_file():
        _keep(measure(pipeline, width, height), kept)
    return CostCurve.model_validate_json(kept.read_text())


def _shipped(folder: Path) -> tuple[CostCurve, ...]:
    file = folder / CURVES
    return CostCurves.model_validate_json(file.read_text()).curves if file.is_file() else ()


def _keep(curve: CostCurve, file: Path) -> None:
    """Create-only: a curve that another worker kept meanwhile stands."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(curve.model_dump_json())
    with suppress(FileExistsError):
        os.link(temporary, file)
    temporary.unlink()
