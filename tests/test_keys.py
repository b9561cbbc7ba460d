"""Keys: seen once, kept as digests in a file of one's own, taken back by removing a line."""

import stat
from pathlib import Path

import pytest

from app.errors import InvalidRequest
from app.keys import FILE, new_key, read_keys


def test_a_key_opens_for_its_owner_and_another_text_does_not(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first, second = new_key(home, "team-a"), new_key(home, "team-b")
    ring = read_keys(home)
    assert [ring.owner(first), ring.owner(second)] == ["team-a", "team-b"]
    assert ring.owner(first[:-1]) is None
    assert ring.owner("") is None


def test_the_file_holds_no_key_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    key = new_key(tmp_path, "team-a")
    file = tmp_path / FILE
    assert key not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_removing_the_line_takes_the_key_back(tmp_path: Path) -> None:
    key = new_key(tmp_path, "team-a")
    (tmp_path / FILE).write_text("")
    assert read_keys(tmp_path).owner(key) is None


def test_a_home_without_the_file_has_no_keys(tmp_path: Path) -> None:
    assert not read_keys(tmp_path).owners


@pytest.mark.parametrize("line", ["team-a", "team-a short", "a b c"])
def test_a_line_that_is_no_entry_is_refused_rather_than_passed_over(
    tmp_path: Path, line: str
) -> None:
    (tmp_path / FILE).write_text(line)
    with pytest.raises(InvalidRequest, match="remove it"):
        read_keys(tmp_path)


@pytest.mark.parametrize("name", ["", "Team A", "a\nb", "../x"])
def test_a_name_that_would_break_the_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="no name for a key"):
        new_key(tmp_path, name)
