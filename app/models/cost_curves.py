"""Measurements of a model version's steps: cost curves, and row counts with the same bits.

Curves are shipped beside the model, or measured once and stored; row counts are proven on each kind
of processor and stored. All workers of one home must pad to the same number of rows, so the first
measurement is kept.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from app.digest import digest
from app.engine.cost_curve import CostCurve, measure
from app.engine.exact_rows import exact_rows
from app.engine.pipeline import Pipeline
from app.environment import numerics_digest
from app.models.bundled import base_of
from app.models.chained import ChainedPipeline
from app.types import ModelVersion, Value

CURVES = "curves.json"
Measured = TypeVar("Measured", bound=Value)


class ExactRows(Value):
    """The stored result of a proof."""

    exact_rows: tuple[int, ...]


class CostCurves(Value):
    """The content of a model folder's `curves.json`."""

    curves: tuple[CostCurve, ...]


def knee_of(
    pipeline: Pipeline, version: ModelVersion, *, folder: Path, home: Path
) -> Callable[[int, int], int]:
    """Returns a function that gives the row budget by width and height on this device.

    A model that continues from another one runs that one's steps, at that one's size.
    """
    base = base_of(folder)
    if base is not None and isinstance(pipeline, ChainedPipeline):
        size, knee = base[1].sizes[0], knee_of(pipeline.base, base[1], folder=base[0], home=home)
        return lambda width, height: knee(size.width, size.height)
    return lambda width, height: (
        curve_of(pipeline, version, width, height, folder=folder, home=home).knee
    )


def exact_rows_of(
    pipeline: Pipeline, version: ModelVersion, *, home: Path
) -> Callable[[int, int, int], tuple[int, ...]]:
    """Returns a function that gives the row counts with the same bits (`exact_rows.py`).

    It takes width, height and row budget. Results are stored in `home` by processor, libraries,
    BLAS mode, threads and weights, so that the proof runs once.
    """
    settings = pipeline.settings

    def proven(width: int, height: int, budget: int) -> tuple[int, ...]:
        shape = (width, height, budget, settings.device, settings.dtype, settings.attention)
        where = digest([version.weights_digest, numerics_digest(), settings.threads, *shape])
        file = home / "exact_rows" / f"{where}.json"
        exact_rows = _kept(file, ExactRows, lambda: _prove(pipeline, width, height, budget))
        return exact_rows.exact_rows

    return proven


def _prove(pipeline: Pipeline, width: int, height: int, budget: int) -> ExactRows:
    return ExactRows(exact_rows=exact_rows(pipeline, width, height, budget))


def curve_of(
    pipeline: Pipeline, version: ModelVersion, width: int, height: int, *, folder: Path, home: Path
) -> CostCurve:
    """Returns the shipped curve for this size and device, else the stored one, else measures it."""
    settings = pipeline.settings
    wanted = (width, height, settings.device, settings.dtype, settings.threads)
    for curve in _shipped(folder):
        if (curve.width, curve.height, curve.device, curve.dtype, curve.threads) == wanted:
            return curve
    file = home / "curves" / f"{digest([version.weights_digest, *wanted])}.json"
    return _kept(file, CostCurve, lambda: measure(pipeline, width, height))


def _shipped(folder: Path) -> tuple[CostCurve, ...]:
    file = folder / CURVES
    return CostCurves.model_validate_json(file.read_text()).curves if file.is_file() else ()


def _kept(file: Path, kind: type[Measured], measure_it: Callable[[], Measured]) -> Measured:
    """Returns the stored measurement; measures and stores it first if there is none."""
    if not file.is_file():
        _keep(measure_it(), file)
    return kind.model_validate_json(file.read_text())


def _keep(measured: Value, file: Path) -> None:
    """Writes the file unless it exists: a measurement stored by another worker is kept."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(measured.model_dump_json())
    with suppress(FileExistsError):
        os.link(temporary, file)
    temporary.unlink()
