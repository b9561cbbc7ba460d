"""Keys: seen once, kept as digests in a file of one's own, added and revoked by many at once."""

import pickle
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.api.keys import FILE, KeyOwner, KeyRing, add_key, read_keys, revoke_key
from app.errors import InvalidRequest


def names_in(home: Path) -> list[str]:
    return [owner.name for owner in read_keys(home).owners.values()]


def test_a_key_opens_for_its_owner_and_another_text_does_not(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first, second = add_key(home, "team-a"), add_key(home, "team-b")
    ring = read_keys(home)
    assert ring.owner(first) == KeyOwner(name="team-a", team="team-a")
    assert ring.owner(second) == KeyOwner(name="team-b", team="team-b")
    assert ring.owner(first[:-1]) is None
    assert ring.owner("") is None


def test_a_key_carries_its_team_and_its_limits(tmp_path: Path) -> None:
    key = add_key(tmp_path, "ci", team="games", images_per_minute=60, images_at_once=4)
    assert read_keys(tmp_path).owner(key) == KeyOwner(
        name="ci", team="games", images_per_minute=60, images_at_once=4
    )


def test_the_ring_travels_whole(tmp_path: Path) -> None:
    key = add_key(tmp_path, "ci", team="games", images_at_once=4)
    ring = read_keys(tmp_path)
    assert pickle.loads(pickle.dumps(ring)) == ring
    assert KeyRing.model_validate_json(ring.model_dump_json()).owner(key) == ring.owner(key)


def test_the_file_holds_no_key_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    key = add_key(tmp_path, "team-a")
    file = tmp_path / FILE
    assert key not in file.read_text()
    file.chmod(0o644)
    add_key(tmp_path, "team-b")
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_revoked_key_opens_nothing_and_the_others_stay(tmp_path: Path) -> None:
    first, second = add_key(tmp_path, "team-a"), add_key(tmp_path, "team-b")
    revoke_key(tmp_path, "team-a")
    ring = read_keys(tmp_path)
    assert ring.owner(first) is None
    assert ring.owner(second) is not None


def test_a_name_is_free_again_once_its_key_is_revoked(tmp_path: Path) -> None:
    old = add_key(tmp_path, "team-a")
    with pytest.raises(InvalidRequest, match="atelier keys revoke team-a"):
        add_key(tmp_path, "team-a")
    revoke_key(tmp_path, "team-a")
    ring_with_new = (add_key(tmp_path, "team-a"), read_keys(tmp_path))
    assert ring_with_new[1].owner(ring_with_new[0]) is not None
    assert ring_with_new[1].owner(old) is None


def test_a_home_without_the_file_needs_no_keys_and_one_whose_keys_are_gone_does(
    tmp_path: Path,
) -> None:
    assert not read_keys(tmp_path).required
    add_key(tmp_path, "team-a")
    assert read_keys(tmp_path).required
    revoke_key(tmp_path, "team-a")
    ring = read_keys(tmp_path)
    assert ring.required
    assert not ring.owners


def test_who_is_not_there_cannot_be_revoked(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="atelier keys list"):
        revoke_key(tmp_path, "team-a")
    assert not read_keys(tmp_path).required


@pytest.mark.parametrize(
    "torn",
    [
        lambda text: text[:-9],
        lambda text: text + "team-b " + "0" * 64,
        lambda text: text.replace('"team-a"', '"Team A"', 1),
        lambda text: text.replace('"digest":"', '"digest":"x'),
        lambda text: text.replace("null", "0", 1),
        lambda text: text + "\x00\xff",
    ],
)
def test_a_torn_file_is_refused_and_left_as_it_is(tmp_path: Path, torn: object) -> None:
    assert callable(torn)
    add_key(tmp_path, "team-a")
    file = tmp_path / FILE
    file.write_text(torn(file.read_text()))
    before = file.read_bytes()
    number = len(before.splitlines())
    for change in (read_keys, lambda home: add_key(home, "b"), lambda home: revoke_key(home, "b")):
        with pytest.raises(InvalidRequest, match=rf"keys:{number} is not a key .* remove the line"):
            change(tmp_path)
    assert file.read_bytes() == before


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(InvalidRequest, match=r"keys cannot be read .*make it readable"):
        read_keys(tmp_path)


@pytest.mark.parametrize("name", ["", "Team A", "a\nb", "../x", "x" * 121])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a name for a key"):
        add_key(tmp_path, name)
    with pytest.raises(InvalidRequest, match="for a key"):
        add_key(tmp_path, "team-a", team=name or " ")
    assert not (tmp_path / FILE).exists()


def test_a_limit_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="images_at_once cannot be 0"):
        add_key(tmp_path, "team-a", images_at_once=0)


def test_what_a_dead_writer_left_is_overwritten(tmp_path: Path) -> None:
    add_key(tmp_path, "team-a")
    (tmp_path / f"{FILE}.new").write_text('{"name":"team-b","te')
    assert names_in(tmp_path) == ["team-a"]
    add_key(tmp_path, "team-c")
    assert names_in(tmp_path) == ["team-a", "team-c"]


def test_writers_at_the_same_time_lose_nothing_and_readers_see_whole_files(tmp_path: Path) -> None:
    add_key(tmp_path, "before")
    code = (
        "import sys; from pathlib import Path; from app.api.keys import add_key, revoke_key\n"
        "home, name = Path(sys.argv[1]), sys.argv[2]\n"
        "for number in range(20):\n"
        "    add_key(home, f'{name}-{number}')\n"
        "    if number % 2: revoke_key(home, f'{name}-{number}')\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in "abc"
    ]
    while any(writer.poll() is None for writer in writers):
        assert names_in(tmp_path)[0] == "before"
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    kept = {f"{name}-{number}" for name in "abc" for number in range(0, 20, 2)}
    assert set(names_in(tmp_path)) == kept | {"before"}
