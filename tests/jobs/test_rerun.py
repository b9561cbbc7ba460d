"""Stages alone: generated, checked, finished and packed again from what is stored."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.types import Status
from tests.jobs.test_bulk import Home, plan_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_ray")]


class RerunHome(Home):
    """A home in which single stages run."""

    def stage(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "jobs.commands", *arguments, "--json"],
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr + done.stdout
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    @property
    def rendered(self) -> int:
        """How many images the model made, by the ledger."""
        return len(self.store.catalog.attempt_times("echo/1"))


def test_each_stage_runs_alone_and_generates_nothing(tmp_path: Path) -> None:
    home = RerunHome(tmp_path)
    made = home.stage("generate", home.write(plan_of(["red", "blue"])))
    assert (made["asked"], made["made"], made["reused"], made["failed"]) == (12, 12, 0, 0)
    assert home.store.catalog.find_assets() == []

    checked = home.stage("recheck", made["run_id"])
    assert (checked["asked"], checked["accepted"]) == (6, 6)

    stricter = home.stage("recheck", checked["run_id"], "--rule", "coverage<=0.01")
    assert (stricter["asked"], stricter["rejected"]) == (6, 6)
    assert (
        "coverage <= 0.01" in home.store.catalog.find_assets(status=Status.REJECTED)[0].reasons[0]
    )

    finished = home.stage("refinish", checked["run_id"], "--size", "48", "--size", "16x24")
    assert (finished["asked"], finished["accepted"]) == (6, 6)
    record = home.store.catalog.find_assets(run_id=finished["run_id"])[0]
    assert record.asset is not None
    assert [str(file.size) for file in record.asset.files] == ["48x48", "16x24"]
    assert {Path(page).name for page in finished["pages"] if page.endswith("png")} == {
        "echo-48x48-0.png",
        "echo-16x24-0.png",
    }

    packed = home.stage("repack", finished["run_id"], "--max-page-size", "64", "--padding", "0")
    assert (packed["asked"], packed["reused"]) == (6, 6)
    assert len([page for page in packed["pages"] if "48x48" in page and "png" in page]) == 6

    again = home.stage("refinish", checked["run_id"], "--size", "48", "--size", "16x24")
    assert (again["reused"], again["accepted"]) == (6, 0)
    assert home.rendered == 12


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("recheck", "nothing"), "no run 'nothing'"),
        (("recheck", "r", "--rule", "beauty>=1"), "checks are decodes"),
        (("recheck", "r", "--rule", "coverage=1"), "CHECK>=NUMBER"),
        (("refinish", "r", "--size", "0x4"), "write 48x48"),
        (("repack", "r", "--max-page-size", "8"), "--max-page-size 8"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_starts(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    code = 1 if arguments == ("recheck", "nothing") else 2
    assert words in RerunHome(tmp_path).stage(*arguments, code=code)["message"]
