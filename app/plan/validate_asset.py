"""Meaning: faults of one asset that show only when one of its values is held against another.

Every check asks first whether what it compares is sound, so that a value that could not be read
brings no second fault.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from app.plan.expand import remaining, sorted_axes
from app.plan.faults import did_you_mean, missing, nearest
from app.plan.fields import LONGEST_PROMPT, LONGEST_TEXT_LAYER
from app.plan.inherit import CompleteAsset, complete, missing_fields, outside
from app.plan.recover import Salvaged
from app.plan.schema import CARRIED_AXES, Plan, PlanAsset
from app.plan.templates import fill, slug, variables
from app.plan.yaml_document import Complaint, Path
from app.types import Kind, Refine, Size

_STAND_INS = {"kind": Kind.ICON, "prompt": "-", "sizes": (Size(width=1, height=1),)}
"""For required fields that are missing; nobody looks at them, they are not given."""


@dataclass(frozen=True)
class Look:
    """The asset at this index of the plan."""

    written: Salvaged
    at: int

    @property
    def plan(self) -> Plan:
        """The plan around it."""
        return self.written.plan

    @property
    def asset(self) -> PlanAsset:
        """The asset as it was written."""
        return self.plan.assets[self.at]

    @cached_property
    def missing(self) -> list[str]:
        """The required fields that nobody gives."""
        return missing_fields(self.plan, self.asset)

    @cached_property
    def complete(self) -> CompleteAsset:
        """The asset after inheritance."""
        stand_ins = {field: _STAND_INS[field] for field in self.missing}
        return complete(self.plan, self.asset.replace(**stand_ins))

    def own(self, *path: str | int) -> Path:
        """The path below this asset."""
        return ("assets", self.at, *path)

    def source(self, field: str) -> Path:
        """The path where the field's value is written: here or in the defaults."""
        inherited = getattr(self.asset, field, None) is None
        default = ("defaults", field)
        return default if inherited and default in self.written.document.places else self.own(field)

    def sound(self, *path: str | int) -> bool:
        """Whether the asset's value there can be relied upon, inherited or its own."""
        return self.written.sound(*self.own(*path)) and self.written.sound(
            *self.source(str(path[0])), *path[1:]
        )

    def given(self, *fields: str) -> bool:
        """Whether all these fields are sound, and none of them is missing."""
        return all(self.sound(field) and field not in self.missing for field in fields)

    @property
    def axes_named(self) -> bool:
        """Whether all axes' names are known, even where one of their values is not."""
        return self.written.all_keys_known(self.own("axes"), self.asset.axes)

    @property
    def countable(self) -> bool:
        """Whether its rows can be counted: names, axes and exclusions fit each other."""
        known = all(set(entry) <= set(self.asset.axes) for entry in self.asset.exclude)
        return known and self.given("name", "axes", "exclude")

    def texts(self) -> Iterator[tuple[Path, str]]:
        """The templates that can be read, each with where it is written."""
        for field in ("prompt", "negative_prompt"):
            if self.given(field):
                yield self.source(field), getattr(self.complete, field)
        for index, layer in enumerate(self.asset.text_layers):
            if self.sound("text_layers", index, "text"):
                yield self.own("text_layers", index, "text"), layer.text

    @cached_property
    def unknown_variables(self) -> list[tuple[Path, str]]:
        """The variables of its texts that are no axis, each with its text's path."""
        return [
            (path, variable)
            for path, text in self.texts()
            for variable in variables(text)
            if self.axes_named and variable not in self.asset.axes
        ]


LONGEST_NAME = 120


def asset_complaints(look: Look) -> Iterator[Complaint]:
    """Everything that does not fit together in one asset."""
    for check in _CHECKS:
        yield from check(look)


def _missing(look: Look) -> Iterator[Complaint]:
    for field in look.missing:
        if look.sound(field):
            yield missing(look.own(field))


def _unknown_variables(look: Look) -> Iterator[Complaint]:
    for path, variable in look.unknown_variables:
        message = f"asks for {{{variable}}}, and the asset has no such axis"
        near = nearest(variable, list(look.asset.axes))
        hint = f"did you mean {{{near}}}? Else " if near else ""
        remedy = f"{hint}add {variable}: to its axes, or double the braces that are none"
        yield Complaint(path, message, remedy)


def _unused_axes(look: Look) -> Iterator[Complaint]:
    """Not asked while a text has an unknown variable: one of them is meant for the other."""
    texts_known = look.given("prompt", "negative_prompt", "text_layers", "carry")
    if not texts_known or not look.axes_named or look.unknown_variables:
        return
    used = {variable for _, text in look.texts() for variable in variables(text)}
    for axis in sorted(set(look.asset.axes) - used - CARRIED_AXES - set(look.asset.carry)):
        message = "is an axis that no text of the asset uses"
        remedy = f"write {{{axis}}} into the prompt, or carry: [{axis}] to have it in names alone"
        yield Complaint(look.own("axes", axis), message, remedy)


def _carried(look: Look) -> Iterator[Complaint]:
    if not look.axes_named or not look.sound("carry"):
        return
    for index, axis in enumerate(look.asset.carry):
        if axis not in look.asset.axes:
            remedy = did_you_mean(axis, list(look.asset.axes))
            yield Complaint(look.own("carry", index), "is no axis of the asset", remedy)


def _excluded(look: Look) -> Iterator[Complaint]:
    if not look.axes_named or not look.sound("exclude"):
        return
    for index, entry in enumerate(look.asset.exclude):
        if not entry:
            message, remedy = "names no axis and would match everything", "write {colour: red}, say"
            yield Complaint(look.own("exclude", index), message, remedy)
        for axis in entry:
            yield from _excluded_axis(look, index, axis)


def _excluded_axis(look: Look, index: int, axis: str) -> Iterator[Complaint]:
    path = look.own("exclude", index, axis)
    if axis not in look.asset.axes:
        remedy = did_you_mean(axis, list(look.asset.axes))
        yield Complaint(path, "is no axis of the asset", remedy)
    elif look.sound("axes", axis):
        known = list(look.asset.axes[axis])
        for at, value in enumerate(look.asset.exclude[index][axis]):
            if value not in known:
                item = (*path, at) if (*path, at) in look.written.document.places else path
                message = f"matches nothing: {axis} has no such value"
                yield Complaint(item, message, did_you_mean(value, known))


def _nothing_left(look: Look) -> Iterator[Complaint]:
    if look.countable and all(look.asset.exclude) and remaining(look.asset) == 0:
        message = "leaves nothing of the asset"
        yield Complaint(look.own("exclude"), message, "exclude less, or remove the asset")


def _same_slugs(look: Look) -> Iterator[Complaint]:
    for axis, values in look.asset.axes.items():
        first: dict[str, str] = {}
        for index, value in enumerate(values if look.sound("axes", axis) else ()):
            other = first.setdefault(slug(value), value)
            if other != value:
                message = f"makes a duplicate name: {other!r} is {slug(value)} in names too"
                remedy = "spell one of them differently"
                yield Complaint(look.own("axes", axis, index), message, remedy)


def _long_name(look: Look) -> Iterator[Complaint]:
    if not look.given("name", "axes"):
        return
    longest = [
        max((slug(value) for value in values), key=len) for _, values in sorted_axes(look.asset)
    ]
    name = ".".join([look.asset.name, *longest])
    if len(name) > LONGEST_NAME:
        message = f"makes names of up to {len(name)} signs"
        remedy = f"shorten it or the axes' values until {LONGEST_NAME} suffice"
        yield Complaint(look.own("name"), message, remedy)


def _long_texts(look: Look) -> Iterator[Complaint]:
    if not look.sound("axes") or look.unknown_variables:
        return
    values = {axis: max(texts, key=len) for axis, texts in look.asset.axes.items()}
    for path, text in look.texts():
        longest = LONGEST_TEXT_LAYER if "text_layers" in path else LONGEST_PROMPT
        length = len(fill(text, values))
        if length > longest:
            message = f"grows to {length} signs with the axes' longest values"
            yield Complaint(path, message, f"shorten it or the values until {longest} suffice")


def _outside_bounds(look: Look) -> Iterator[Complaint]:
    for field, number, limits in outside(look.complete, look.plan.bounds):
        if look.given(field, "candidates") and look.written.sound("bounds", field):
            message = f"is outside the plan's bounds for {field}"
            yield Complaint(look.source(field), message, f"let it be {limits}", f"{number:g}")


def _outside_closed_sets(look: Look) -> Iterator[Complaint]:
    for axis, allowed in look.plan.bounds.axes.items():
        comparable = look.sound("axes", axis) and look.written.sound("bounds", "axes", axis)
        values = look.asset.axes.get(axis, ()) if comparable else ()
        for index, value in enumerate(values):
            if value not in allowed:
                message = f"is outside the plan's bounds for {axis}"
                remedy = did_you_mean(value, list(allowed))
                yield Complaint(look.own("axes", axis, index), message, remedy)


def _few_attempts(look: Look) -> Iterator[Complaint]:
    asset = look.complete
    if look.given("attempts", "candidates") and asset.attempts < asset.candidates:
        message = f"are fewer than the {asset.candidates} candidates that are made at once"
        remedy = f"write attempts: {asset.candidates} or more"
        yield Complaint(look.source("attempts"), message, remedy)


def _never_refined(look: Look) -> Iterator[Complaint]:
    asset = look.complete
    given = look.given("refine", "attempts", "candidates")
    if given and asset.refine is Refine.REASON and asset.attempts <= asset.candidates:
        message = "is never asked, for no attempt follows the first round"
        remedy = f"write attempts: {asset.candidates + 1} or more, or remove refine"
        yield Complaint(look.source("refine"), message, remedy)


def _half_a_frame(look: Look) -> Iterator[Complaint]:
    """Width and height of the generated image come together, or both from the model version."""
    written = {"width": look.complete.width, "height": look.complete.height}
    for field, other in (("width", "height"), ("height", "width")):
        if look.given(field, other) and written[field] is not None and written[other] is None:
            remedy = f"add {other}:, or leave both to the model"
            yield Complaint(look.source(field), f"stands without {other}", remedy)


_CHECKS = (
    _missing,
    _unknown_variables,
    _unused_axes,
    _carried,
    _excluded,
    _nothing_left,
    _same_slugs,
    _long_name,
    _long_texts,
    _outside_bounds,
    _outside_closed_sets,
    _few_attempts,
    _never_refined,
    _half_a_frame,
)
