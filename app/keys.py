"""Who may knock: keys are kept as digests, so that the file that lists them opens nothing."""

import os
import re
from pathlib import Path
from secrets import token_urlsafe

from pydantic import Field

from app.digest import digest_bytes
from app.errors import InvalidRequest
from app.types import Digest, Value

FILE = "keys"
"""Below `ATELIER_HOME`: a line for each key, its owner's name and its sha256."""
PREFIX = "atelier-"
BYTES = 32
_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
_LINE = re.compile(rf"(?P<name>{_NAME.pattern}) (?P<digest>[0-9a-f]{{64}})")


class KeyRing(Value):
    """The digests of all keys, and whose they are; empty when nobody needs one."""

    owners: dict[Digest, str] = Field(default_factory=dict)

    def owner(self, key: str) -> str | None:
        """Whose key it is; None when it is nobody's.

        Looking up a digest tells nobody how near a guess was.
        """
        return self.owners.get(digest_bytes(key.encode()))


def read_keys(home: Path) -> KeyRing:
    """The keys of a home; none when there is no file. Raises InvalidRequest for a torn one."""
    file = home / FILE
    if not file.is_file():
        return KeyRing()
    return KeyRing(owners=dict(_entry(line, file) for line in _lines(file)))


def new_key(home: Path, name: str) -> str:
    """Make a key for somebody and keep its digest; this is the only time that it is seen.

    Removing the line takes the key back.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"{name!r} is no name for a key; use lower case: team-a")
    key = PREFIX + token_urlsafe(BYTES)
    home.mkdir(parents=True, exist_ok=True)
    file = os.open(home / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(file, "w") as lines:
        lines.write(f"{name} {digest_bytes(key.encode())}\n")
    return key


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line.strip()]


def _entry(line: str, file: Path) -> tuple[str, str]:
    found = _LINE.fullmatch(line.strip())
    if found is None:
        raise InvalidRequest(f"{file} has a line that is not NAME SHA256; remove it")
    return found["digest"], found["name"]
