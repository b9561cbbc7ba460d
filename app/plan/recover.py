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
from app.plan.faults import closest_key, fault_of, path_of
from app.plan.schema import Plan
from app.plan.shorthand import expand_shorthand
from app.plan.yaml_document import Path, PlanFault, YamlDocument


@dataclass(frozen=True)
class RecoveredPlan:
    """What could be read, with placeholders for what must be there, and what was wrong."""

    plan: Plan
    document: YamlDocument
    plan_faults: list[PlanFault]
    invalid: set[Path]

    @cached_property
    def _invalid_children(self) -> dict[Path, set[str | int]]:
        """Every path around something unsound, with the parts of it that lead there."""
        touched: dict[Path, set[str | int]] = {}
        for path in self.invalid:
            for end in range(len(path)):
                touched.setdefault(path[:end], set()).add(path[end])
        return touched

    def valid(self, *path: str | int) -> bool:
        """Whether the value at the path, all around it and all within it stand as written."""
        return path not in self._invalid_children and not _inside(path, self.invalid)

    def all_keys_known(self, path: Path, keys: Collection[str]) -> bool:
        """Whether `found` are all keys of a mapping, whatever became of their values."""
        return not _inside(path, self.invalid) and self._invalid_children.get(path, set()) <= set(
            keys
        )


def recover(document: YamlDocument) -> RecoveredPlan:
    """Everything that is wrong with single values, and the plan without them."""
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
    """Whether the path, or anything around it, is unsound."""
    return any(path[:end] in invalid for end in range(len(path) + 1))


def _validated(data: Json) -> Plan:
    """Strict as JSON is: text for choices and lists for tuples, but no text for numbers."""
    return Plan.model_validate_json(json.dumps(data), strict=True)


def _errors(data: Json) -> list[ErrorDetails]:
    try:
        _validated(data)
    except ValidationError as error:
        return [error for error in error.errors(include_url=False) if not _follows(error)]
    return []


def _follows(error: ErrorDetails) -> bool:
    """Whether a list is called too short only because pydantic dropped its faulty items."""
    return error["type"] == "too_short" and len(error["input"]) > 0


def _without_faults(data: Any, invalid: set[Path]) -> Plan:
    """Take out what is wrong until nothing is; every round takes something, so it ends."""
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
    """Later list items sort later, so that taking one out does not move those still to take."""
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
