"""Keys that are added and revoked while the service runs: it follows, and only ever tightens."""

import logging
from pathlib import Path

import pytest

from app.api.keys import FILE, add_key, read_keys, revoke_key
from deployments.http.live_keys import POLL_SECONDS, LiveKeys


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def started_at(home: Path) -> tuple[LiveKeys, Clock]:
    clock = Clock()
    return LiveKeys(read_keys(home), clock=clock), clock


def test_a_revoked_key_is_refused_and_a_new_one_taken_after_a_second(tmp_path: Path) -> None:
    old = add_key(tmp_path, "team-a")
    add_key(tmp_path, "team-b")
    keys, clock = started_at(tmp_path)
    assert keys.owner(old) is not None
    revoke_key(tmp_path, "team-a")
    new = add_key(tmp_path, "team-a")
    assert keys.owner(new) is None
    clock.now += POLL_SECONDS
    assert keys.owner(old) is None
    assert keys.owner(new) is not None


def test_the_first_key_closes_what_was_open(tmp_path: Path) -> None:
    keys, clock = started_at(tmp_path)
    assert not keys.required
    key = add_key(tmp_path, "team-a")
    clock.now += POLL_SECONDS
    assert keys.required
    assert keys.owner(key) is not None


def test_a_home_that_is_made_with_the_first_key_is_seen(tmp_path: Path) -> None:
    keys, clock = started_at(tmp_path / "home")
    assert not keys.required
    add_key(tmp_path / "home", "team-a")
    clock.now += POLL_SECONDS
    assert keys.required


@pytest.mark.parametrize("remove", ["revoke", "file", "content"])
def test_the_last_key_gone_closes_for_everybody(tmp_path: Path, remove: str) -> None:
    key = add_key(tmp_path, "team-a")
    keys, clock = started_at(tmp_path)
    assert keys.owner(key) is not None
    if remove == "revoke":
        revoke_key(tmp_path, "team-a")
    elif remove == "file":
        (tmp_path / FILE).unlink()
    else:
        (tmp_path / FILE).write_text("")
    for _ in range(3):
        clock.now += POLL_SECONDS
        assert keys.required
        assert keys.owner(key) is None


def test_what_a_ring_was_given_does_not_outlive_its_file(tmp_path: Path) -> None:
    key = add_key(tmp_path, "team-a")
    ring = read_keys(tmp_path)
    revoke_key(tmp_path, "team-a")
    (tmp_path / FILE).unlink()
    keys = LiveKeys(ring, clock=Clock())
    assert keys.required
    assert keys.owner(key) is None


def test_a_torn_file_opens_nothing_until_it_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = add_key(tmp_path, "team-a")
    keys, clock = started_at(tmp_path)
    whole = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(whole[:-5])
    clock.now += POLL_SECONDS
    with caplog.at_level(logging.ERROR):
        assert keys.required
        assert keys.owner(key) is None
    assert "all keys are refused" in caplog.text
    assert "keys:1 is not a key" in caplog.text
    (tmp_path / FILE).write_text(whole)
    clock.now += POLL_SECONDS
    assert keys.owner(key) is not None


def test_a_machine_without_the_home_keeps_the_keys_it_was_given(tmp_path: Path) -> None:
    home = tmp_path / "home"
    key = add_key(home, "team-a")
    ring = read_keys(home)
    home.rename(tmp_path / "elsewhere")
    assert LiveKeys(ring, clock=Clock()).owner(key) is not None


def test_the_file_is_not_looked_at_more_than_once_a_second(tmp_path: Path) -> None:
    key = add_key(tmp_path, "team-a")
    keys, clock = started_at(tmp_path)
    assert keys.owner(key) is not None
    revoke_key(tmp_path, "team-a")
    clock.now += POLL_SECONDS * 0.99
    assert keys.owner(key) is not None
    clock.now += POLL_SECONDS * 0.01
    assert keys.owner(key) is None
