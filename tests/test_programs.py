"""A program that is missing: its tests are skipped aloud; where they must run, they fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import PROGRAMS, need

ROOT = Path(__file__).parents[1]
PIXI = ("tests/pack/test_texturepacker.py", "-k", "pixijs", "-n", "1", "-p", "no:cacheprovider")


def run_without_programs(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python module's command, where the system has no program at all."""
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=os.environ | {"PATH": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_whoever_needs_a_missing_program_is_skipped_with_the_command_to_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.skip.Exception, match="strace is not installed: apt-get install"):
        need("strace")


@pytest.mark.parametrize("name", ["hadolint", "postgresql"])
def test_what_comes_with_a_python_package_is_found_without_a_path(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PATH", "")
    assert Path(need(name)).is_file()


def test_the_end_of_a_run_says_what_was_not_run_for_want_of_what() -> None:
    done = run_without_programs("pytest", *PIXI)
    assert done.returncode == 0, done.stdout
    assert "2 skipped" in done.stdout
    summary = "not run for want of programs: node (2 tests, atlas pages in PixiJS's own parser): "
    assert f"{summary}apt-get install nodejs" in done.stdout


def test_where_programs_are_required_such_a_skip_is_a_failure() -> None:
    done = run_without_programs("pytest", *PIXI, "--require-programs")
    assert done.returncode == 1
    assert "node is not installed: apt-get install nodejs (--require-programs)" in done.stdout
    assert "2 errors" in done.stdout


def test_without_apt_get_the_installation_only_says_what_is_missing() -> None:
    done = run_without_programs("tests.programs", "install")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    for program in PROGRAMS:
        if program.packages:
            line = f"{program.name} is missing ({program.untested}): {program.remedy}"
            assert line in lines
