"""Faults of single values: pydantic's errors as messages with a remedy."""

import re
from collections.abc import Callable
from difflib import get_close_matches

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from app.plan.background import Background
from app.plan.brand import (
    Brand,
    BrandFraming,
    BrandLight,
    BrandPalette,
    BrandTechnical,
)
from app.plan.fields import RangeText
from app.plan.schema import (
    AcceptPlan,
    AssetTags,
    Bounds,
    Budget,
    Defaults,
    Pack,
    Plan,
    PlanAsset,
    RoutePlan,
)
from app.plan.yaml_document import Path, PlanFault, YamlDocument
from app.types import Measure, Pivot, Rect, Rule, Size, TextLayer

_MODELS: dict[str, type[BaseModel]] = {
    "accept": AcceptPlan,
    "assets": PlanAsset,
    "background": Background,
    "bounds": Bounds,
    "box": Rect,
    "brand": Brand,
    "budget": Budget,
    "defaults": Defaults,
    "framing": BrandFraming,
    "light": BrandLight,
    "pack": Pack,
    "palette": BrandPalette,
    "pivot": Pivot,
    "route": RoutePlan,
    "rules": Rule,
    "sizes": Size,
    "tags": AssetTags,
    "technical": BrandTechnical,
    "text_layers": TextLayer,
}
"""The model whose keys are allowed below each key; any other key holds a range of the bounds."""
_CONTAINERS: dict[str, type[BaseModel]] = {
    "the top of the plan": Plan,
    "the defaults": Defaults,
    "an asset": PlanAsset,
}
_HOW_TO_ADD = {
    "angle": "add angle: with the direction of the light, 315 for the upper left",
    "assets": "list at least one asset below assets:",
    "atelier": "begin the plan with the line atelier: 1",
    "check": f"add check: with one of {', '.join(Measure)}",
    "colours": 'add colours: ["#c62f2f"] with those of the brand',
    "false_accepts": "add false_accepts: with the tolerated share of bad images, such as 0.01",
    "height": "write both, as in 64x64",
    "kind": "add kind: icon to the asset or to the defaults",
    "name": "add name: with a plain name, such as potion",
    "prompt": 'add prompt: "a red potion" to the asset or to the defaults',
    "sizes": "add sizes: [64x64] to the asset or to the defaults",
    "usd": "add usd: with the most that the plan may cost, such as 5.00",
    "width": "write both, as in 64x64",
}
_A_LIST = "write a list: [red, green], or one line with a dash for each"

MessageAndRemedy = tuple[str, str]
"""A message and a remedy."""


def path_of(error: ErrorDetails) -> Path:
    """Returns the path of the error in the data."""
    return tuple(part for part in error["loc"] if part != "[key]")


def fault_of(error: ErrorDetails, document: YamlDocument) -> PlanFault:
    """Returns the error as a fault with a message and a remedy."""
    if error["type"] == "missing":
        return missing_fault(path_of(error))
    path = path_of(error)
    written = document.written(path)
    if error["type"] == "extra_forbidden":
        return PlanFault(written, "is not a known key here", _other_key(path))
    if error["type"] == "plan":
        context = error["ctx"]
        return PlanFault(written, context["message"], context["remedy"])
    words = _MESSAGES.get(error["type"], _other_error)
    message, remedy = words(error, path, document.place(path).text)
    return PlanFault(written, message, remedy)


def missing_fault(path: Path) -> PlanFault:
    """Returns the fault for a missing key."""
    remedy = _HOW_TO_ADD.get(str(path[-1]), "add it")
    return PlanFault(path, "is missing", remedy, value="nothing")


def closest_key(path: Path) -> str:
    """Returns the known key closest to an unknown one, "" when none is close."""
    return closest_word(str(path[-1]), list(_model_at(path[:-1]).model_fields))


def closest_word(word: str, known: list[str]) -> str:
    """Returns the known word closest to this one, "" when none is close."""
    return next(iter(get_close_matches(word.lower(), known, n=1)), "")


def did_you_mean(word: str, known: list[str]) -> str:
    """Returns the remedy for a word that is not among the known ones."""
    near = closest_word(word, known)
    return f"did you mean {near}?" if near else f"use one of {', '.join(known) or 'none'}"


def _model_at(path: Path) -> type[BaseModel]:
    around = [part for part in path if isinstance(part, str)]
    return _MODELS.get(around[-1], RangeText) if around else Plan


def _other_key(path: Path) -> str:
    key, model = str(path[-1]), _model_at(path[:-1])
    homes = [home for home, other in _CONTAINERS.items() if key in other.model_fields]
    if homes and model in _CONTAINERS.values():
        return f"move {key} to {' or '.join(homes)}"
    return did_you_mean(key, sorted(model.model_fields))


def _other_error(error: ErrorDetails, path: Path, written: str) -> MessageAndRemedy:
    return "is not valid here", "compare it with the example plans"


def _text(error: ErrorDetails, path: Path, written: str) -> MessageAndRemedy:
    if isinstance(error["input"], bool | int | float):
        what = "a YAML truth value" if isinstance(error["input"], bool) else "a number"
        return f"is {what} where text is expected", f'quote it: "{written}"'
    return "must be text", "write text, in quotes if it has special characters"


def _whole_number(error: ErrorDetails, path: Path, written: str) -> MessageAndRemedy:
    return "must be a whole number", "write digits only, without quotes"


def _number(error: ErrorDetails, path: Path, written: str) -> MessageAndRemedy:
    return "must be a number", "write digits without quotes, such as 4 or 4.5"


def _boolean(error: ErrorDetails, path: Path, written: str) -> MessageAndRemedy:
    return "must be true or false", "write true or false, without quotes"


def _choice(error: ErrorDetails, path: Path, written: str) -> MessageAndRemedy:
    if path == ("atelier",):
        return "is not a supported schema version", "write atelier: 1"
    known = re.findall(r"'([^']*)'", error["ctx"]["expected"])
    near = closest_word(str(error["input"]), known)
    hint = f"did you mean {near}? " if near else ""
    return "is not known here", f"{hint}use one of {', '.join(known)}"


def _keys(error: ErrorDetails, path: Path, written: str) -> MessageAndRemedy:
    if path[-2:-1] == ("sizes",):
        return "is not a size", "write 64x64, or 64 for a square"
    if path[-1] == "background":
        return "is not a path", "write the path of a PNG beside the plan: pictures/sky.png"
    known = (
        sorted(_model_at(path).model_fields)
        if path[-1] != "axes" and path[-2:-1] != ("exclude",)
        else []
    )
    if path[:1] == ("bounds",):
        return "must be a lowest and a highest number", "write [4, 30] or {at_most: 30}"
    example = f"one of {', '.join(known)}" if known else "colour"
    return "must be keys with values", f"write key: value, the key {example}"


def _list(error: ErrorDetails, path: Path, written: str) -> MessageAndRemedy:
    return "must be a list", _A_LIST


def _too_small(error: ErrorDetails, path: Path, written: str) -> MessageAndRemedy:
    context = error["ctx"]
    return "is too small", f"write at least {context['ge']:g}"


def _too_large(error: ErrorDetails, path: Path, written: str) -> MessageAndRemedy:
    context = error["ctx"]
    largest = context["le"] if "le" in context else context["lt"] - 1
    return "is too large", f"write at most {largest}"


def _empty(error: ErrorDetails, path: Path, written: str) -> MessageAndRemedy:
    return "is empty", "give it at least one value, or remove the key"


def _too_long(error: ErrorDetails, path: Path, written: str) -> MessageAndRemedy:
    longest = error["ctx"]["max_length"]
    return f"is longer than {longest} characters", f"shorten it to {longest}"


def _malformed(error: ErrorDetails, path: Path, written: str) -> MessageAndRemedy:
    shape = error["ctx"]["pattern"]
    return "has an invalid form", f"write a value that matches {shape}"


_MESSAGES: dict[str, Callable[[ErrorDetails, Path, str], MessageAndRemedy]] = {
    "bool_type": _boolean,
    "dict_type": _keys,
    "enum": _choice,
    "finite_number": _number,
    "float_type": _number,
    "greater_than_equal": _too_small,
    "int_from_float": _whole_number,
    "int_type": _whole_number,
    "less_than": _too_large,
    "less_than_equal": _too_large,
    "literal_error": _choice,
    "model_type": _keys,
    "string_pattern_mismatch": _malformed,
    "string_too_long": _too_long,
    "string_too_short": _empty,
    "string_type": _text,
    "too_short": _empty,
    "tuple_type": _list,
}
