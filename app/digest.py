"""Canonical JSON and sha256: the only place where identity is computed."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"


def canonical_json(value: Json) -> bytes:
    """Returns one byte string per value: keys sorted, no spaces, UTF-8, finite numbers only.

    A float that holds a whole number is written as that integer, so that 4 and 4.0 in a plan name
    the same request. Raises ValueError for NaN and infinities.
    """
    text = json.dumps(
        _whole_floats_as_integers(value),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    return text.encode()


def _whole_floats_as_integers(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list | tuple):
        return [_whole_floats_as_integers(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _whole_floats_as_integers(item) for key, item in value.items()}
    return value


def digest_bytes(data: bytes) -> str:
    """Returns the sha256 of the bytes as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest(value: Json) -> str:
    """Returns the sha256 of the value's canonical JSON as 64 lower-case hex digits."""
    return digest_bytes(canonical_json(value))


def digest_file(path: Path) -> str:
    """Returns the sha256 of a file's bytes, read in pieces so that large weights fit in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_folder(folder: Path, *, exclude: Collection[str] = ()) -> str:
    """Returns the digest of every file below the folder, by relative POSIX path and content.

    `exclude` names files, relative to the folder, that are left out (a model card, for example).
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return digest({name: digest_file(path) for name, path in named.items() if name not in exclude})
