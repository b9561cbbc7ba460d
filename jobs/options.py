"""Parses the command line options that replace parts of a plan: rules, sizes, packing."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from app.errors import InvalidRequest
from app.plan.schema import Pack
from app.types import Measure, Rule, Size, Value, Verdict

_RULE = re.compile(r"([a-z_]+)\s*(>=|<=)\s*(-?[0-9.]+)(?::([a-z]+))?")
_SIZE = re.compile(r"([0-9]{1,4})(?:x([0-9]{1,4}))?")


def read_rule(text: str) -> Rule:
    """Returns the rule of `agreement>=0.9`, or `agreement>=0.9:review`; raises InvalidRequest."""
    match = _RULE.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest(f"--rule {text!r} is no rule; write CHECK>=NUMBER or CHECK<=NUMBER")
    check, side, number, otherwise = match.groups()
    limit = {"at_least" if side == ">=" else "at_most": number}
    try:
        return Rule.model_validate({"check": check, "otherwise": otherwise or "reject", **limit})
    except ValidationError as exc:
        raise InvalidRequest(
            f"--rule {text!r} is no rule; checks are {', '.join(Measure)}, and what follows one "
            f"of {', '.join(Verdict)}"
        ) from exc


def read_size(text: str) -> Size:
    """Returns the size of `48x64`, or of `48` for a square; raises InvalidRequest."""
    match = _SIZE.fullmatch(text.strip())
    try:
        if match is not None:
            return Size(width=int(match[1]), height=int(match[2] or match[1]))
    except ValidationError:
        match = None
    raise InvalidRequest(f"--size {text!r} is no size; write 48x48 or 48, 1 to 4096 pixels a side")


class PackOptions(Value):
    """The packing options that were given, and no others."""

    given: dict[str, int | bool]


def read_pack(given: Mapping[str, Any]) -> PackOptions:
    """Returns the options; raises InvalidRequest naming the first that is out of bounds."""
    try:
        Pack.model_validate(dict(given))
    except ValidationError as exc:
        first = exc.errors()[0]
        name = str(first["loc"][0])
        raise InvalidRequest(
            f"--{name.replace('_', '-')} {first['input']} cannot be used: {first['msg']}"
        ) from exc
    return PackOptions(given=dict(given))
