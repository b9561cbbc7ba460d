"""A cluster's floor by schedule: its file, and machines that come before a window without work."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.errors import InvalidRequest
from jobs.bench.cluster.scheduled_floor import run_scheduled_floor
from jobs.cluster.min_machines import MachineFloors, read_floors
from tests.programs import need

DRAFT = (("class", "draft"),)
WINDOW = {
    "days": ["mon"],
    "from": "08:00",
    "to": "10:00",
    "zone": "UTC",
    "lead_seconds": 600,
    "labels": {"class": "draft"},
    "min_machines": 4,
}


def written(tmp_path: Path, document: Any) -> Path:
    file = tmp_path / "floor.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def test_each_pool_has_the_highest_floor_of_its_own_windows(tmp_path: Path) -> None:
    spot = {"market": "spot", "class": "draft"}
    windows = [
        WINDOW,
        WINDOW | {"from": "09:00", "to": "12:00", "min_machines": 6},
        WINDOW | {"labels": spot, "min_machines": 1},
        WINDOW | {"labels": dict(reversed(spot.items())), "min_machines": 2},
    ]
    floors = read_floors(written(tmp_path, {"windows": windows}))

    def at(hour: int, minute: int = 0) -> dict[Any, int]:
        return floors.at(datetime(2026, 11, 23, hour, minute, tzinfo=UTC).timestamp())

    both = tuple(sorted(spot.items()))
    assert at(7, 49) == {DRAFT: 0, both: 0}
    assert at(7, 50) == {DRAFT: 4, both: 2}  # the lead
    assert at(9) == {DRAFT: 6, both: 2}
    assert at(10) == {DRAFT: 6, both: 0}
    assert at(12) == {DRAFT: 0, both: 0}  # said as well, so that what was asked is let go of


def test_the_file_says_what_holds_a_machine_and_else_it_is_memory(tmp_path: Path) -> None:
    assert read_floors(written(tmp_path, {"windows": [WINDOW]})).held_by == {"memory": 1}
    held = {"windows": [WINDOW], "held_by": {"slot": 0.001}}
    floors = read_floors(written(tmp_path, held))
    assert floors.held_by == {"slot": 0.001}
    assert MachineFloors.model_validate(floors.as_json()) == floors


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"windows": []}, "windows"),
        ({"windows": [WINDOW | {"labels": {}}]}, "windows.0.labels"),
        ({"windows": [WINDOW | {"min_machines": 0}]}, "windows.0.min_machines"),
        ({"windows": [WINDOW | {"zone": "Mars/Olympus"}]}, "zone 'Mars/Olympus'"),
        ({"windows": [WINDOW | {"to": "08:00"}]}, "from 08:00 to 08:00 is empty"),
        ({"windows": [WINDOW], "held_by": {}}, "held_by"),
        ({"windows": [WINDOW], "lead": 3}, "lead"),
        ([WINDOW], "the file"),
    ],
)
def test_a_file_that_is_no_floor_is_refused_by_name(
    tmp_path: Path, document: Any, message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        read_floors(written(tmp_path, document))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"nowhere\.yaml cannot be read as a cluster's floor"):
        read_floors(tmp_path / "nowhere.yaml")


def test_without_a_cluster_the_command_says_what_to_do(tmp_path: Path) -> None:
    file = written(tmp_path, {"windows": [WINDOW]})
    done = subprocess.run(
        [sys.executable, "-m", "jobs.commands", "floor", str(file)],
        env={"PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "RAY_ADDRESS names no cluster" in done.stderr


@pytest.mark.deep  # a window is some minutes long
def test_machines_are_there_before_a_window_and_gone_after_it(tmp_path: Path) -> None:
    need("bash")
    result = run_scheduled_floor(tmp_path, print)
    assert result.holds, result
    assert result.floor < result.most
