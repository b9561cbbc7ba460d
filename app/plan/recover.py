"""Recover: turns a plan with faults into the plan that is left without the invalid values.

The rest can then be validated too, and one fault does not cause others: every later check first
asks whether the values it compares are valid.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.digest import Json
from app.plan.faults import closest_key, fault_of, path_of
from app.plan.schema import Plan
from app.plan.shorthand import expand_shorthand
from app.plan.yaml_document import Path, PlanFault, YamlDocument


@dataclass(frozen=True)
class RecoveredPlan:
    """The part of a plan that could be read, with placeholders, and the faults."""

    plan: Plan
    document: YamlDocument
    plan_faults: list[PlanFault]
    invalid: set[Path]

    @cached_property
    def _invalid_children(self) -> dict[Path, set[str | int]]:
        """Returns every path around something invalid, with the parts of it that lead there."""
        touched: dict[Path, set[str | int]] = {}
        for path in self.invalid:
            for end in range(len(path)):
                touched.setdefault(path[:end], set()).add(path[end])
        return touched

    def valid(self, *path: str | int) -> bool:
        """Returns whether the value at the path, all around it and all within it are as written."""
        return path not in self._invalid_children and not _inside(path, self.invalid)

    def all_keys_known(self, path: Path, keys: Collection[str]) -> bool:
        """Returns whether `keys` are all keys of a mapping, even if their values are invalid."""
        return not _inside(path, self.invalid) and self._invalid_children.get(path, set()) <= set(
            keys
        )


def recover(document: YamlDocument) -> RecoveredPlan:
    """Returns the plan without its invalid values, and the faults of those values."""
    data = expand_shorthand(document)
    invalid = {fault.path for fault in document.plan_faults}
    errors = [error for error in _errors(data) if not _inside(path_of(error), invalid)]
    unknown = [path_of(error) for error in errors if error["type"] == "extra_forbidden"]
    misspelt = {(*path[:-1], key) for path in unknown if (key := closest_key(path))}
    faults = [
        fault_of(error, document)
        for error in errors
        if not (error["type"] == "missing" and path_of(error) in misspelt)
    ]
    invalid |= misspelt
    plan = _without_faults(json.loads(json.dumps(data)), invalid)
    return RecoveredPlan(plan, document, [*document.plan_faults, *faults], invalid)


def _inside(path: Path, invalid: Collection[Path]) -> bool:
    """Returns whether the path, or anything around it, is invalid."""
    return any(path[:end] in invalid for end in range(len(path) + 1))


def _validated(data: Json) -> Plan:
    """Validates in strict JSON mode: text for choices and lists for tuples, no text for numbers."""
    return Plan.model_validate_json(json.dumps(data), strict=True)


def _errors(data: Json) -> list[ErrorDetails]:
    try:
        _validated(data)
    except ValidationError as error:
        return [error for error in error.errors(include_url=False) if not _follows(error)]
    return []


def _follows(error: ErrorDetails) -> bool:
    """Returns whether a list is too short only because pydantic dropped its faulty items."""
    return error["type"] == "too_short" and len(error["input"]) > 0


def _without_faults(data: Any, invalid: set[Path]) -> Plan:
    """Removes invalid values until none is left; every round removes one, so it terminates."""
    while errors := _errors(data):
        taken = {_path_to_remove(error) for error in errors}
        outermost = {
            path for path in taken if not any(path[:end] in taken for end in range(len(path)))
        }
        for path in sorted(outermost, key=_removal_order, reverse=True):
            invalid.add(path)
            _remove(data, path, invalid)
    return _validated(data)


def _path_to_remove(error: ErrorDetails) -> Path:
    path = path_of(error)
    return path[:-1] if error["type"] == "missing" and _placeholder(path) is None else path


def _removal_order(path: Path) -> tuple[str, ...]:
    """Returns the sort key of a path; later list items sort later.

    Removing in reverse order does not shift the items that are still to be removed.
    """
    return tuple(f"{part:09}" if isinstance(part, int) else part for part in path)


def _remove(data: Any, path: Path, invalid: set[Path]) -> None:
    around = data
    for part in path[:-1]:
        around = around[part]
    placeholder = _placeholder(path)
    if placeholder is not None:
        around[path[-1]] = placeholder
        return
    del around[path[-1]]
    if isinstance(path[-1], int):
        invalid.add(path[:-1])


def _placeholder(path: Path) -> Json:
    """Returns a placeholder for a required value; it is marked invalid, so no check reads it."""
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
