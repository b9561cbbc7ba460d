"""The row budget comes from a measured curve."""

from pathlib import Path
from typing import Any

import pytest
import torch

from app.engine.cost_curve import CostCurve, measure
from app.engine.pipeline import Rows
from app.errors import OutOfMemory
from app.models.bundled import FOLDERS, read_version
from app.models.cost_curves import curve_of
from app.models.sd3 import Sd3Pipeline
from tests.engine.engines import LENGTH


def curve(seconds: dict[int, float]) -> CostCurve:
    return CostCurve(
        width=512, height=512, device="cuda", dtype="bfloat16", threads=1, seconds=seconds
    )


@pytest.mark.parametrize(
    ("seconds", "knee"),
    [
        # Qwen-Image on an H200 at 512x512, then 1024x1024 (sgl-project/sglang, pull request 22183)
        ({1: 0.167, 2: 0.183, 4: 0.240, 8: 0.425, 16: 0.832}, 8),
        ({1: 0.243, 2: 0.474}, 1),
        ({1: 1.0, 2: 1.0, 4: 1.0, 8: 1.0}, 8),
    ],
)
def test_the_knee_is_where_more_rows_stop_paying(seconds: dict[int, float], knee: int) -> None:
    assert curve(seconds).knee == knee


class SmallDevice(Sd3Pipeline):
    """Has memory for so many rows and no more; counts what it is asked for."""

    limit = 4
    asked: tuple[int, ...] = ()

    def predict(self, rows: Rows) -> torch.Tensor:
        self.asked += (len(rows.latents),)
        if len(rows.latents) > self.limit:
            raise OutOfMemory("full")
        return super().predict(rows)


def test_measuring_stops_where_memory_ends(stock: Any) -> None:
    cost_curve = measure(SmallDevice(stock, max_sequence_length=LENGTH), 32, 16)
    assert (cost_curve.width, cost_curve.height, cost_curve.device) == (32, 16, "cpu")
    assert set(cost_curve.seconds) <= {1, 2, 4}
    assert 1 in cost_curve.seconds


def test_a_device_without_room_for_one_row_says_so(stock: Any) -> None:
    pipeline = SmallDevice(stock, max_sequence_length=LENGTH)
    pipeline.limit = 0
    with pytest.raises(OutOfMemory):
        measure(pipeline, 16, 16)


def test_a_curve_is_measured_once_and_then_kept(stock: Any, tmp_path: Path) -> None:
    version = read_version(FOLDERS["starter"])
    pipeline = SmallDevice(stock, max_sequence_length=LENGTH)
    first = curve_of(pipeline, version, 16, 16, folder=tmp_path, home=tmp_path / "home")
    asked = pipeline.asked
    again = curve_of(pipeline, version, 16, 16, folder=tmp_path, home=tmp_path / "home")
    assert again == first
    assert pipeline.asked == asked
    other = curve_of(pipeline, version, 32, 16, folder=tmp_path, home=tmp_path / "home")
    assert other.width == 32
    assert len(list((tmp_path / "home" / "curves").iterdir())) == 2


def test_the_curve_that_ships_with_a_version_is_preferred(stock: Any, tmp_path: Path) -> None:
    folder = FOLDERS["starter"]
    pipeline = SmallDevice(stock, max_sequence_length=LENGTH)
    torch.set_num_threads(1)
    shipped = curve_of(pipeline, read_version(folder), 64, 64, folder=folder, home=tmp_path)
    assert shipped.knee == 16
    assert not pipeline.asked
