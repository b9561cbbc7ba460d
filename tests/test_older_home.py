"""A home of the version before: every command answers as that version did, and makes nothing.

`fixtures/older_home.tar.gz` holds a home in which that version made a plan, and its JSON answers.
"""

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli.main import atelier

ARCHIVE = Path(__file__).parent / "fixtures" / "older_home.tar.gz"
COMMANDS = {
    "assets": ["assets"],
    "show": ["show", "potion.red.gem"],
    "costs": ["costs", "--by", "team"],
    "runs": ["runs"],
    "report": ["report"],
    "verify": ["verify"],
    "plan": ["plan", "plan.yaml"],
    "explain": ["explain", "potion.red.gem"],
}
ADDED = {"blas_mode", "exact_rows"}
"""Fields of provenance that the older version did not record."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ATELIER_USER", "ann")
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_answers_as_the_older_version_did(name: str, folder: Path) -> None:
    done = CliRunner().invoke(atelier, [*COMMANDS[name], "--json"])
    expected = json.loads((folder / "answers" / f"{name}.json").read_text())
    assert without_added(json.loads(done.stdout)) == expected


def without_added(answer: Any) -> Any:
    """The answer without fields that older records do not have; those are empty."""
    if isinstance(answer, list):
        return [without_added(item) for item in answer]
    if not isinstance(answer, dict):
        return answer
    assert not any(answer.get(field) for field in ADDED)
    return {key: without_added(item) for key, item in answer.items() if key not in ADDED}


@pytest.mark.usefixtures("folder")
def test_its_images_replay_identically() -> None:
    done = CliRunner().invoke(atelier, ["replay", "--where", "status=accepted", "--json"])
    answer = json.loads(done.stdout)
    assert [image["sameness"] for image in answer] == ["identical", "identical"]


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_its_plan_makes_nothing_again(folder: Path) -> None:
    command = [sys.executable, "-m", "jobs", "bulk", "plan.yaml", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    summary = json.loads(done.stdout)
    assert (summary["reused"], summary["rejected"], summary["made"]) == (2, 1, 0), done.stderr
