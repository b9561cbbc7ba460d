"""Salvage: a plan with faults becomes the plan that is left when what is wrong is taken out.

So the rest can still be looked at, and one fault does not drag others behind it: whoever looks
asks first whether the values compared are sound.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.digest import Json
from app.plan.faults import complaint_of, meant, path_of
from app.plan.schema import Plan
from app.plan.shorthand import written_out
from app.plan.yaml_document import Complaint, Document, Path


@dataclass(frozen=True)
class Salvaged:
    """What could be read, with placeholders for what must be there, and what was wrong."""

    plan: Plan
    document: Document
    complaints: list[Complaint]
    unsound: set[Path]

    @cached_property
    def _touched(self) -> dict[Path, set[str | int]]:
        """Every path around something unsound, with the parts of it that lead there."""
        touched: dict[Path, set[str | int]] = {}
        for path in self.unsound:
            for end in range(len(path)):
                touched.setdefault(path[:end], set()).add(path[end])
        return touched

    def sound(self, *path: str | int) -> bool:
        """Whether the value at the path, all around it and all within it stand as written."""
        return path not in self._touched and not _inside(path, self.unsound)

    def all_keys_known(self, path: Path, found: Collection[str]) -> bool:
        """Whether `found` are all keys of a mapping, whatever became of their values."""
        return not _inside(path, self.unsound) and self._touched.get(path, set()) <= set(found)


def salvage(document: Document) -> Salvaged:
    """Everything that is wrong with single values, and the plan without them."""
    data = written_out(document)
    unsound = {complaint.path for complaint in document.complaints}
    errors = [error for error in _errors(data) if not _inside(path_of(error), unsound)]
    unknown = [path_of(error) for error in errors if error["type"] == "extra_forbidden"]
    misspelt = {(*path[:-1], key) for path in unknown if (key := meant(path))}
    told = [
        complaint_of(error, document)
        for error in errors
        if not (error["type"] == "missing" and path_of(error) in misspelt)
    ]
    unsound |= misspelt
    plan = _without_faults(json.loads(json.dumps(data)), unsound)
    return Salvaged(plan, document, [*document.complaints, *told], unsound)


def _inside(path: Path, unsound: Collection[Path]) -> bool:
    """Whether the path, or anything around it, is unsound."""
    return any(path[:end] in unsound for end in range(len(path) + 1))


def _validated(data: Json) -> Plan:
    """Strict as JSON is: text for choices and lists for tuples, but no text for numbers."""
    return Plan.model_validate_json(json.dumps(data), strict=True)


def _errors(data: Json) -> list[ErrorDetails]:
    try:
        _validated(data)
    except ValidationError as error:
        return [one for one in error.errors(include_url=False) if not _follows(one)]
    return []


def _follows(error: ErrorDetails) -> bool:
    """Whether a list is called too short only because pydantic dropped its faulty items."""
    return error["type"] == "too_short" and len(error["input"]) > 0


def _without_faults(data: Any, unsound: set[Path]) -> Plan:
    """Take out what is wrong until nothing is; every round takes something, so it ends."""
    while errors := _errors(data):
        taken = {_to_take(error) for error in errors}
        outermost = {
            path for path in taken if not any(path[:end] in taken for end in range(len(path)))
        }
        for path in sorted(outermost, key=_by_place, reverse=True):
            unsound.add(path)
            _take_out(data, path, unsound)
    return _validated(data)


def _to_take(error: ErrorDetails) -> Path:
    path = path_of(error)
    return path[:-1] if error["type"] == "missing" and _placeholder(path) is None else path


def _by_place(path: Path) -> tuple[str, ...]:
    """Later list items sort later, so that taking one out does not move those still to take."""
    return tuple(f"{part:09}" if isinstance(part, int) else part for part in path)


def _take_out(data: Any, path: Path, unsound: set[Path]) -> None:
    around = data
    for part in path[:-1]:
        around = around[part]
    placeholder = _placeholder(path)
    if placeholder is not None:
        around[path[-1]] = placeholder
        return
    del around[path[-1]]
    if isinstance(path[-1], int):
        unsound.add(path[:-1])


def _placeholder(path: Path) -> Json:
    """What stands where a plan cannot do without a value; nobody looks at it, it is unsound."""
    match path:
        case ("atelier",):
            return 1
        case ("name",) | ("assets", int(), "name"):
            return "unnamed"
        case ("assets",):
            return [{"name": "unnamed"}]
        case ("assets", int()):
            return {"name": "unnamed"}
    return None
