"""A catalog that moves to another processor: nothing is made again, and replay says what differs.

The other processor is played by MKL's compatible mode, whose sums have other bits than the strict
one on the processors where it has several kernels.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.environment import BLAS_MODE, environment

PLAN = """
atelier: 1
name: moved
defaults: {kind: icon, sizes: [64x64], candidates: 1, attempts: 2}
assets: [{name: gem, prompt: "a {colour} gem", axes: {colour: [red, blue]}}]
"""
OTHER = "COMPATIBLE"
BULK = ("-m", "jobs", "bulk", "plan.yaml")
ATELIER = ("-c", "from app.cli.main import main; main()")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose catalog another processor made."""
    folder = tmp_path_factory.mktemp("moved")
    (folder / "plan.yaml").write_text(PLAN)
    assert answered(folder, *BULK, blas_mode=OTHER)["reused"] == 0
    return folder


def answered(folder: Path, *arguments: str, blas_mode: str) -> Any:
    """What a command answers in JSON; it may not fail."""
    settings = {"ATELIER_HOME": str(folder / "home"), BLAS_MODE: blas_mode}
    done = subprocess.run(
        [sys.executable, *arguments, "--json"],
        cwd=folder, env=os.environ | settings, capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def answered_here(folder: Path, *arguments: str) -> Any:
    return answered(folder, *arguments, blas_mode=environment().blas_mode)


def test_the_same_plan_makes_nothing_again_and_nothing_alarms(home: Path) -> None:
    summary = answered_here(home, *BULK)
    assert summary["asked"] == summary["reused"] == 2
    assert answered_here(home, *ATELIER, "verify") == []


def test_replay_answers_within_tolerance_and_names_what_made_the_difference(home: Path) -> None:
    replays = answered_here(home, *ATELIER, "replay", "--where", "name=*")
    assert len(replays) == 2
    for replay in replays:
        assert replay["sameness"] in ("identical", "within tolerance")
        changes = {change["field"]: change for change in replay["changes"]}
        assert json.loads(changes["environment.blas_mode"]["then"]) == OTHER
