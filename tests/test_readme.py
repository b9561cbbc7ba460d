"""The README is true: its commands run, its plan expands, its links lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.models.bundled import bundled_models
from app.plan.expand import expand
from app.plan.read import read_plan

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def commands(start: str) -> list[str]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [line.split("#")[0].strip() for line in lines if line.startswith(start)]


@pytest.mark.slow
def test_the_atelier_commands_run_in_their_order(tmp_path: Path) -> None:
    lines = commands("atelier ")
    assert len(lines) >= 5
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"ATELIER_HOME": str(tmp_path / "home"), "PATH": path}
    for command in lines:
        command = command.replace("--to export", f"--to {tmp_path / 'export'}")
        done = subprocess.run(
            command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert {path.name for path in (tmp_path / "export").iterdir()} == {"potion-64x64.png"}


def test_the_make_targets_it_names_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {command.split()[1] for command in commands("make ")}
    named |= set(re.findall(r"`make ([a-z-]+)`", TEXT))
    assert {"demo", "test"} <= named <= targets


def test_its_plan_expands_to_what_it_says(tmp_path: Path) -> None:
    (plan,) = blocks("yaml")
    path = tmp_path / "plan.yaml"
    path.write_text(plan)
    names = [spec.name for spec in expand(read_plan(path), bundled_models())]
    assert names == ["potion.red", "potion.green", "potion.blue"]


def test_its_links_lead_to_files() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_setting_it_names_is_one() -> None:
    from app.settings import Settings

    named = {name.removeprefix("ATELIER_").lower() for name in re.findall(r"ATELIER_[A-Z_]+", TEXT)}
    assert named | {"tracking_uri"} == set(Settings.model_fields)
    assert Settings.model_fields["tracking_uri"].validation_alias in TEXT
