"""The commands as people type them, and their JSON as machines read it."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.backends.echo import EchoBackend
from app.check.duplicates import Neighbours
from app.cli.main import atelier
from app.flow.make import make
from app.generate.generate import Generator
from app.image.png import read_png
from app.settings import Settings
from app.store.publish import open_store
from app.types import Measure, Rule
from tests.values import ROUTE, spec_with

PLAN = {
    "atelier": 1,
    "name": "small",
    "model": "echo",
    "assets": [
        {"name": "potion", "kind": "icon", "sizes": [64], "prompt": "a {colour} potion",
         "axes": {"colour": ["red", "blue"]}}
    ],
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def catalogued(home: Path) -> Path:
    """A catalog with one accepted and one rejected asset."""
    settings = Settings()
    store = open_store(settings.blobs, settings.catalog)
    generator = Generator(route=ROUTE, backend=EchoBackend(), store=store, owner="run-1")
    refused = Rule(check=Measure.COVERAGE, at_most=0.01)
    make(spec_with(name="potion.red"), generator, None, Neighbours())
    make(spec_with(refused, name="gem.red", attempts=2), generator, None, Neighbours())
    return home


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(atelier, arguments)
    assert result.exit_code == code, result.output
    return result.stdout


def run_json(*arguments: str, code: int = 0) -> Any:
    return json.loads(run(*arguments, "--json", code=code))


def written(folder: Path, plan: dict[str, Any]) -> str:
    path = folder / "plan.yaml"
    path.write_text(json.dumps(plan))
    return str(path)


def test_plan_says_what_there_is_to_do(home: Path) -> None:
    answer = run_json("plan", written(home, PLAN))
    assert (answer["asked"], answer["standing"], answer["to_make"]) == (2, 0, 2)
    assert [asset["name"] for asset in answer["assets"]] == ["potion.red", "potion.blue"]
    assert "potion.red" in run("plan", written(home, PLAN))


def test_plan_reports_every_fault_at_once_with_its_line(home: Path) -> None:
    path = home / "bad.yaml"
    path.write_text("atelier: 1\nname: a\nassets:\n- name: x\n  kind: icn\n  promt: y\n")
    answer = run_json("plan", str(path), code=2)
    assert {fault["line"] for fault in answer["faults"]} >= {5, 6}
    assert all(fault["remedy"] for fault in answer["faults"])
    assert answer["error"] == "PlanError"


def test_assets_are_found_by_status_and_by_the_rule_that_spoke(catalogued: Path) -> None:
    assert [asset["name"] for asset in run_json("assets", "--status", "accepted")] == ["potion.red"]
    assert [asset["name"] for asset in run_json("assets", "--rule", "coverage")] == ["gem.red"]
    assert [asset["name"] for asset in run_json("assets", "--name", "p*")] == ["potion.red"]
    assert "gem.red" in run("assets")


def test_an_asset_is_shown_by_name_and_by_version(catalogued: Path) -> None:
    record = run_json("show", "potion.red")
    assert record["status"] == "accepted"
    again = run_json("show", f"potion.red@{record['version'][:6]}")
    assert again == record
    assert record["provenance"]["model"] == "echo/1"
    text = run("show", "potion.red")
    assert record["version"] in text
    assert "echo/1" in text


def test_an_unknown_name_is_answered_with_the_nearest(catalogued: Path) -> None:
    answer = run_json("show", "potion.rad", code=1)
    assert "potion.red" in answer["message"]


def test_export_writes_verified_files_under_human_names(catalogued: Path) -> None:
    folder = catalogued / "out"
    answer = run_json("export", "--to", str(folder))
    assert [Path(file["path"]).name for file in answer["files"]] == ["potion.red-64x64.png"]
    assert read_png((folder / "potion.red-64x64.png").read_bytes()).shape == (64, 64, 4)


def test_export_refuses_bytes_that_are_not_what_their_digest_names(catalogued: Path) -> None:
    record = run_json("show", "potion.red")
    digest = record["asset"]["files"][0]["digest"]
    (blob,) = (catalogued / "home" / "blobs").rglob(digest)
    blob.chmod(0o644)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(bytes(data))
    answer = run_json("export", "--to", str(catalogued / "out"), code=1)
    assert answer["error"] == "DigestMismatch"
    assert list((catalogued / "out").iterdir()) == []
