"""The fields of a plan, each validated alone, with messages and remedies."""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from app.plan.templates import has_stray_brace, normalise, path_like, reserved, slug
from app.types import Measure, Rule, Size, Value

RANGES: dict[Measure, tuple[float, float]] = dict.fromkeys(Measure, (0, 1)) | {
    Measure.SIZE_ERROR: (0, 8192),
    Measure.CONTRAST: (0, 0.5),
    Measure.TEXT_CONTRAST: (1, 21),
    Measure.DUPLICATE_DISTANCE: (0, 64),
}
"""The lowest and highest possible value of each measure."""
BRAND_MEASURES = frozenset(
    {
        Measure.PALETTE_ERROR, Measure.LIGHT_ERROR, Measure.SUBJECT_SHARE, Measure.MARGIN,
        Measure.OFF_CENTRE, Measure.GROUND_ERROR, Measure.RESOLUTION,
    }
)  # fmt: skip
"""Measured only when a brand requires it."""
REFERENCE_MEASURES = frozenset({Measure.LIKENESS, Measure.DIFFERENCE, Measure.PALETTE_DISTANCE})
"""Measured only against a reference image, which a plan cannot name."""
LONGEST_PROMPT, LONGEST_TEXT_LAYER = 2000, 500
"""The longest prompt and text layer that a request may have."""


class RangeText(Value):
    """The allowed range of a parameter; a missing end is open."""

    at_least: float | None = None
    at_most: float | None = None

    def __contains__(self, number: float) -> bool:
        above = self.at_least is None or number >= self.at_least
        return above and (self.at_most is None or number <= self.at_most)

    def __str__(self) -> str:
        """Returns the range in words: at least 4 and at most 30."""
        low = [f"at least {self.at_least:g}"] if self.at_least is not None else []
        high = [f"at most {self.at_most:g}"] if self.at_most is not None else []
        return " and ".join(low + high)


def refuse(message: str, remedy: str) -> PydanticCustomError:
    """Returns the error that a validator of this module raises: a message with a remedy."""
    return PydanticCustomError("plan", "{message}", {"message": message, "remedy": remedy})


def _slug_or(text: str, example: str) -> str:
    try:
        return slug(text)
    except ValueError:
        return example


def _name(text: str) -> str:
    better = _slug_or(text, "potion")
    if path_like(text):
        raise refuse("looks like a path, which a name must not", f"write {better}")
    if reserved(text):
        raise refuse("is a name that Windows reserves for a device", f"write {better}-icon")
    if text != better:
        remedy = f"write {better}: a-z and 0-9 with - or _ between; dots separate axis values"
        raise refuse("is not a plain name", remedy)
    return text


def _axis_name(text: str) -> str:
    better = _slug_or(text, "colour")
    if text != better or not text[0].isalpha():
        example = better if better[0].isalpha() else "colour"
        raise refuse("is not a plain axis name", f"write {example}: a-z and 0-9, a letter first")
    return text


def _axis_value(text: str) -> str:
    try:
        slug(text)
    except ValueError as error:
        message = f"cannot become part of a name: {error}"
        raise refuse(message, "write it with letters a-z or digits") from error
    return text


def _template(text: str) -> str:
    if has_stray_brace(text):
        remedy = "write {colour} for the value of the axis colour, {{ and }} for braces themselves"
        raise refuse("has a brace that does not name an axis", remedy)
    return text


def _distinct(sizes: tuple[Size, ...]) -> tuple[Size, ...]:
    twice = next((size for size in sizes if sizes.count(size) > 1), None)
    if twice:
        raise refuse(f"lists {twice} twice", "list each size once")
    return sizes


def _limits(low: float | None, high: float | None) -> None:
    if low is None and high is None:
        raise refuse("sets no limit", "add at_least: or at_most: with a number")
    if low is not None and high is not None and low > high:
        remedy = "write an at_least that is not larger than at_most"
        raise refuse("cannot be satisfied by any number", remedy)


def _range(limits: RangeText) -> RangeText:
    _limits(limits.at_least, limits.at_most)
    return limits


def _rule(rule: Rule) -> Rule:
    if rule.check is Measure.RISK:
        remedy = "write accept: {false_accepts: 0.01} at the top of the plan"
        raise refuse("is learned, not measured, so a rule cannot limit it", remedy)
    if rule.check in BRAND_MEASURES:
        remedy = "write brand: at the top of the plan with its reference values"
        raise refuse("is measured only for a brand", remedy)
    if rule.check in REFERENCE_MEASURES:
        remedy = "remove it; brand: compares images with a palette, replay with their originals"
        raise refuse("is measured only against a reference image, and plans have none", remedy)
    _limits(rule.at_least, rule.at_most)
    low, high = RANGES[rule.check]
    if any(limit not in RangeText(at_least=low, at_most=high) for limit in _set_limits(rule)):
        message = f"sets a limit that {rule.check} can never reach"
        raise refuse(message, f"stay between {low:g} and {high:g}")
    return rule


def _set_limits(rule: Rule) -> list[float]:
    return [limit for limit in (rule.at_least, rule.at_most) if limit is not None]


PlainName: TypeAlias = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_name)]
AxisName: TypeAlias = Annotated[str, Field(min_length=1, max_length=40), AfterValidator(_axis_name)]
ShortText: TypeAlias = Annotated[str, Field(max_length=200), AfterValidator(normalise)]
AxisValue: TypeAlias = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    AfterValidator(normalise),
    AfterValidator(_axis_value),
]
AxisValues: TypeAlias = Annotated[tuple[AxisValue, ...], Field(min_length=1)]
Template: TypeAlias = Annotated[
    str,
    StringConstraints(max_length=LONGEST_PROMPT),
    AfterValidator(normalise),
    AfterValidator(_template),
]
Prompt: TypeAlias = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_PROMPT),
    AfterValidator(normalise),
    AfterValidator(_template),
]
Sizes: TypeAlias = Annotated[tuple[Size, ...], Field(min_length=1), AfterValidator(_distinct)]
AcceptanceRule: TypeAlias = Annotated[Rule, AfterValidator(_rule)]
Limits: TypeAlias = Annotated[RangeText, AfterValidator(_range)]
