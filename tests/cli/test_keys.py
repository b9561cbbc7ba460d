"""The commands of keys as people type them, and their JSON as machines read it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.api.keys import FILE, KeyOwner, read_keys
from app.cli.main import atelier
from tests.cli.test_main import run, run_json


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_key_is_shown_once_and_alone_so_that_a_shell_can_take_it(home: Path) -> None:
    key = run("keys", "add", "team-a").removesuffix("\n")
    assert read_keys(home).owner(key) == KeyOwner(name="team-a", team="team-a")
    for command in (["list"], ["list", "--json"]):
        assert key not in run("keys", *command)


def test_keys_are_listed_with_their_teams_and_limits(home: Path) -> None:
    assert run_json("keys", "list") == []
    assert "atelier keys add NAME" in run("keys", "list")
    run("keys", "add", "ci", "--team", "games", "--images-per-minute", "60")
    run("keys", "add", "anna", "--images-at-once", "4")
    assert run_json("keys", "list") == [
        {"name": "ci", "team": "games", "images_per_minute": 60, "images_at_once": None},
        {"name": "anna", "team": "anna", "images_per_minute": None, "images_at_once": 4},
    ]
    rows = [line.split() for line in run("keys", "list").splitlines()[1:]]
    assert rows == [["ci", "games", "60", "any"], ["anna", "anna", "any", "4"]]


def test_a_revoked_key_is_gone_and_the_last_one_closes_the_service(home: Path) -> None:
    run("keys", "add", "team-a")
    run("keys", "add", "team-b")
    first = CliRunner().invoke(atelier, ["keys", "revoke", "team-a"])
    last = CliRunner().invoke(atelier, ["keys", "revoke", "team-b"])
    assert (first.exit_code, last.exit_code) == (0, 0)
    assert first.output == ""
    assert str(home / FILE) in last.stderr
    assert read_keys(home).required
    assert run_json("keys", "list") == []


@pytest.mark.parametrize(
    "command",
    [
        ["add", "Team A"],
        ["add", "team-a", "--team", "Team A"],
        ["add", "team-b", "--images-per-minute", "0"],
        ["add", "team-b", "--images-at-once", "many"],
        ["add", "there"],
        ["revoke", "not-there"],
    ],
)
def test_a_faulty_command_changes_nothing(home: Path, command: list[str]) -> None:
    run("keys", "add", "there")
    before = (home / FILE).read_bytes()
    run("keys", *command, code=2)
    assert (home / FILE).read_bytes() == before


def test_a_torn_file_is_said_in_words_and_in_json(home: Path) -> None:
    home.mkdir()
    (home / FILE).write_text("team-a " + "0" * 64)
    assert "keys:1 is not a key" in run_json("keys", "list", code=2)["message"]
    run("keys", "add", "team-b", code=2)
