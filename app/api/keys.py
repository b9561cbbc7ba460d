"""API keys: the file stores only their digests, so reading it gives no access."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_urlsafe

from pydantic import Field, PositiveInt, ValidationError

from app.digest import digest_bytes
from app.errors import InvalidRequest
from app.types import Digest, Name, Value

FILE = "keys"
"""In `ATELIER_HOME`: a line of JSON for each key, with its sha256."""
PREFIX = "atelier-"
BYTES = 32


class KeyOwner(Value):
    """A caller and its limits; None is no limit. The default is a caller without a key."""

    name: str = ""
    team: str = ""
    images_per_minute: PositiveInt | None = None
    images_at_once: PositiveInt | None = None


class KeyEntry(KeyOwner):
    """A line of the file: an owner, and the sha256 of the key."""

    name: Name
    team: Name
    digest: Digest

    @property
    def owner(self) -> KeyOwner:
        """Returns the owner of the key."""
        return KeyOwner(**self.model_dump(exclude={"digest"}))


class KeyRing(Value):
    """The digests of all keys, with their owners."""

    owners: dict[Digest, KeyOwner] = Field(default_factory=dict)
    file: Path | None = None
    """The file it was read from."""
    closed: bool = False
    """Whether calls need a key even when there is none."""

    @property
    def required(self) -> bool:
        """Returns whether callers need a key."""
        return self.closed or bool(self.owners)

    def owner(self, key: str) -> KeyOwner | None:
        """Returns the owner of the key; None for an unknown key.

        Digests are compared, so the time of a look-up tells nothing about the keys.
        """
        return self.owners.get(digest_bytes(key.encode()))


def read_keys(home: Path) -> KeyRing:
    """Reads the keys of a home. Raises InvalidRequest for a damaged file.

    Without the file no keys are needed. Once it exists calls need a key, also after the last one is
    revoked; only removing the file opens the service again.
    """
    file = home.absolute() / FILE
    entries = _entries(file)
    if entries is None:
        return KeyRing(file=file)
    return KeyRing(owners={entry.digest: entry.owner for entry in entries}, file=file, closed=True)


def add_key(
    home: Path,
    name: str,
    *,
    team: str = "",
    images_per_minute: int | None = None,
    images_at_once: int | None = None,
) -> str:
    """Adds a key and returns it; only its digest is stored.

    `team` defaults to the name. Raises InvalidRequest when the name has a key already.
    """
    key = PREFIX + token_urlsafe(BYTES)
    try:
        added = KeyEntry(
            name=name,
            team=team or name,
            images_per_minute=images_per_minute,
            images_at_once=images_at_once,
            digest=digest_bytes(key.encode()),
        )
    except ValidationError as exc:
        raise InvalidRequest(_invalid_field(exc)) from exc

    def add(entries: list[KeyEntry]) -> list[KeyEntry]:
        if any(entry.name == name for entry in entries):
            raise InvalidRequest(
                f"{name} has a key already; use another name, or first: atelier keys revoke {name}"
            )
        return [*entries, added]

    _change(home, add)
    return key


def revoke_key(home: Path, name: str) -> None:
    """Revokes a key; running services refuse it within about a second.

    Raises InvalidRequest when no key has this name.
    """

    def remove(entries: list[KeyEntry]) -> list[KeyEntry]:
        left = [entry for entry in entries if entry.name != name]
        if len(left) == len(entries):
            raise InvalidRequest(f"there is no key {name!r}; atelier keys list shows all")
        return left

    _change(home, remove)


def _change(home: Path, change: Callable[[list[KeyEntry]], list[KeyEntry]]) -> None:
    """Reads, changes and writes the file under a lock; writes nothing when `change` raises."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / FILE
    with _locked(home):
        entries = change(_entries(file) or [])
        _write(file, "".join(f"{entry.model_dump_json()}\n" for entry in entries))


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Locks a separate file, because each writer replaces the keys' file."""
    lock = os.open(home / f"{FILE}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _write(file: Path, text: str) -> None:
    """Writes the file atomically; a `.new` left by a crash is overwritten by the next writer."""
    new = file.with_name(f"{FILE}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as lines:
        os.fchmod(lines.fileno(), 0o600)
        lines.write(text)
        lines.flush()
        os.fsync(lines.fileno())
    new.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _entries(file: Path) -> list[KeyEntry] | None:
    """Returns the entries; None when there is no file."""
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise InvalidRequest(
            f"{file} cannot be read ({exc.strerror}); make it readable for the service"
        ) from exc
    return [_entry(file, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _entry(file: Path, number: int, line: bytes) -> KeyEntry:
    try:
        return KeyEntry.model_validate_json(line)
    except ValidationError as exc:
        raise InvalidRequest(
            f"{file}:{number} is not a key as `atelier keys add` writes it; remove the line and "
            "create a new key for its owner"
        ) from exc


def _invalid_field(error: ValidationError) -> str:
    first = error.errors()[0]
    field = str(first["loc"][0])
    if field in ("name", "team"):
        return f"{first['input']!r} is not a {field} for a key; write it like team-a"
    return f"{field} cannot be {first['input']!r}; give at least 1, or leave it out for no limit"
