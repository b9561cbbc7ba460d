"""Asset validation: faults of one asset that show only when its values are compared.

Every check asks first whether the values it compares are valid, so that a value that could not be
read causes no second fault.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from app.plan.expand import row_count, sorted_axes
from app.plan.faults import closest_word, did_you_mean, missing_fault
from app.plan.fields import LONGEST_PROMPT, LONGEST_TEXT_LAYER
from app.plan.inherit import CompleteAsset, missing_fields, out_of_bounds, with_defaults
from app.plan.recover import RecoveredPlan
from app.plan.schema import CARRIED_AXES, Plan, PlanAsset
from app.plan.templates import fill, slug, variables
from app.plan.yaml_document import Path, PlanFault
from app.types import Kind, Refine, Size

_STAND_INS = {"kind": Kind.ICON, "prompt": "-", "sizes": (Size(width=1, height=1),)}
"""Stand-ins for missing required fields; no check uses them, as they are not given."""


@dataclass(frozen=True)
class AssetView:
    """The asset at this index of the plan."""

    recovered: RecoveredPlan
    at: int

    @property
    def plan(self) -> Plan:
        """Returns the plan that contains the asset."""
        return self.recovered.plan

    @property
    def asset(self) -> PlanAsset:
        """Returns the asset as written."""
        return self.plan.assets[self.at]

    @cached_property
    def missing(self) -> list[str]:
        """Returns the required fields that neither the asset nor the defaults give."""
        return missing_fields(self.plan, self.asset)

    @cached_property
    def complete(self) -> CompleteAsset:
        """Returns the asset after inheritance."""
        stand_ins = {field: _STAND_INS[field] for field in self.missing}
        return with_defaults(self.plan, self.asset.replace(**stand_ins))

    def own(self, *path: str | int) -> Path:
        """Returns the path below this asset."""
        return ("assets", self.at, *path)

    def source(self, field: str) -> Path:
        """Returns the path where the field's value is written: in the asset or in the defaults."""
        inherited = getattr(self.asset, field, None) is None
        default = ("defaults", field)
        return (
            default if inherited and default in self.recovered.document.places else self.own(field)
        )

    def valid(self, *path: str | int) -> bool:
        """Returns whether the asset's value at the path is valid, inherited or its own."""
        return self.recovered.valid(*self.own(*path)) and self.recovered.valid(
            *self.source(str(path[0])), *path[1:]
        )

    def all_valid(self, *fields: str) -> bool:
        """Returns whether all these fields are valid, and none of them is missing."""
        return all(self.valid(field) and field not in self.missing for field in fields)

    @property
    def axes_named(self) -> bool:
        """Returns whether all axes' names are known, even where one of their values is not."""
        return self.recovered.all_keys_known(self.own("axes"), self.asset.axes)

    @property
    def countable(self) -> bool:
        """Returns whether its rows can be counted: names, axes and exclusions are consistent."""
        known = all(set(entry) <= set(self.asset.axes) for entry in self.asset.exclude)
        return known and self.all_valid("name", "axes", "exclude")

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Yields the templates that can be read, each with the path where it is written."""
        for field in ("prompt", "negative_prompt"):
            if self.all_valid(field):
                yield self.source(field), getattr(self.complete, field)
        for index, layer in enumerate(self.asset.text_layers):
            if self.valid("text_layers", index, "text"):
                yield self.own("text_layers", index, "text"), layer.text

    @cached_property
    def unknown_variables(self) -> list[tuple[Path, str]]:
        """Returns the variables of its texts that are not axes, each with its text's path."""
        return [
            (path, variable)
            for path, text in self.texts()
            for variable in variables(text)
            if self.axes_named and variable not in self.asset.axes
        ]


LONGEST_NAME = 120


def asset_faults(view: AssetView) -> Iterator[PlanFault]:
    """Yields every fault between the values of one asset."""
    for check in _CHECKS:
        yield from check(view)


def _missing(view: AssetView) -> Iterator[PlanFault]:
    for field in view.missing:
        if view.valid(field):
            yield missing_fault(view.own(field))


def _unknown_variables(view: AssetView) -> Iterator[PlanFault]:
    for path, variable in view.unknown_variables:
        message = f"uses {{{variable}}}, but the asset has no such axis"
        near = closest_word(variable, list(view.asset.axes))
        hint = f"did you mean {{{near}}}? Otherwise " if near else ""
        remedy = f"{hint}add {variable}: to its axes, or double the braces that belong to the text"
        yield PlanFault(path, message, remedy)


def _unused_axes(view: AssetView) -> Iterator[PlanFault]:
    """Skipped while a text has an unknown variable: probably one of them is meant for the other."""
    texts_known = view.all_valid("prompt", "negative_prompt", "text_layers", "carry")
    if not texts_known or not view.axes_named or view.unknown_variables:
        return
    used = {variable for _, text in view.texts() for variable in variables(text)}
    for axis in sorted(set(view.asset.axes) - used - CARRIED_AXES - set(view.asset.carry)):
        message = "is an axis that no text of the asset uses"
        remedy = f"write {{{axis}}} into the prompt, or carry: [{axis}] to have it only in names"
        yield PlanFault(view.own("axes", axis), message, remedy)


def _carried(view: AssetView) -> Iterator[PlanFault]:
    if not view.axes_named or not view.valid("carry"):
        return
    for index, axis in enumerate(view.asset.carry):
        if axis not in view.asset.axes:
            remedy = did_you_mean(axis, list(view.asset.axes))
            yield PlanFault(view.own("carry", index), "is not an axis of the asset", remedy)


def _excluded(view: AssetView) -> Iterator[PlanFault]:
    if not view.axes_named or not view.valid("exclude"):
        return
    for index, entry in enumerate(view.asset.exclude):
        if not entry:
            message, remedy = "names no axis and would match everything", "write {colour: red}"
            yield PlanFault(view.own("exclude", index), message, remedy)
        for axis in entry:
            yield from _excluded_axis(view, index, axis)


def _excluded_axis(view: AssetView, index: int, axis: str) -> Iterator[PlanFault]:
    path = view.own("exclude", index, axis)
    if axis not in view.asset.axes:
        remedy = did_you_mean(axis, list(view.asset.axes))
        yield PlanFault(path, "is not an axis of the asset", remedy)
    elif view.valid("axes", axis):
        known = list(view.asset.axes[axis])
        for at, value in enumerate(view.asset.exclude[index][axis]):
            if value not in known:
                item = (*path, at) if (*path, at) in view.recovered.document.places else path
                message = f"matches nothing: {axis} has no such value"
                yield PlanFault(item, message, did_you_mean(value, known))


def _nothing_left(view: AssetView) -> Iterator[PlanFault]:
    if view.countable and all(view.asset.exclude) and row_count(view.asset) == 0:
        message = "excludes every row of the asset"
        yield PlanFault(view.own("exclude"), message, "exclude less, or remove the asset")


def _same_slugs(view: AssetView) -> Iterator[PlanFault]:
    for axis, values in view.asset.axes.items():
        first: dict[str, str] = {}
        for index, value in enumerate(values if view.valid("axes", axis) else ()):
            other = first.setdefault(slug(value), value)
            if other != value:
                message = f"makes a duplicate name: {other!r} is {slug(value)} in names too"
                remedy = "spell one of the two differently"
                yield PlanFault(view.own("axes", axis, index), message, remedy)


def _long_name(view: AssetView) -> Iterator[PlanFault]:
    if not view.all_valid("name", "axes"):
        return
    longest = [
        max((slug(value) for value in values), key=len) for _, values in sorted_axes(view.asset)
    ]
    name = ".".join([view.asset.name, *longest])
    if len(name) > LONGEST_NAME:
        message = f"makes names of up to {len(name)} characters"
        remedy = f"shorten it or the axes' values to at most {LONGEST_NAME} characters"
        yield PlanFault(view.own("name"), message, remedy)


def _long_texts(view: AssetView) -> Iterator[PlanFault]:
    if not view.valid("axes") or view.unknown_variables:
        return
    values = {axis: max(texts, key=len) for axis, texts in view.asset.axes.items()}
    for path, text in view.texts():
        longest = LONGEST_TEXT_LAYER if "text_layers" in path else LONGEST_PROMPT
        length = len(fill(text, values))
        if length > longest:
            message = f"grows to {length} signs with the axes' longest values"
            remedy = f"shorten it or the values to at most {longest} characters"
            yield PlanFault(path, message, remedy)


def _outside_bounds(view: AssetView) -> Iterator[PlanFault]:
    for field, number, limits in out_of_bounds(view.complete, view.plan.bounds):
        if view.all_valid(field, "candidates") and view.recovered.valid("bounds", field):
            message = f"is outside the plan's bounds for {field}"
            yield PlanFault(view.source(field), message, f"let it be {limits}", f"{number:g}")


def _outside_closed_sets(view: AssetView) -> Iterator[PlanFault]:
    for axis, allowed in view.plan.bounds.axes.items():
        comparable = view.valid("axes", axis) and view.recovered.valid("bounds", "axes", axis)
        values = view.asset.axes.get(axis, ()) if comparable else ()
        for index, value in enumerate(values):
            if value not in allowed:
                message = f"is outside the plan's bounds for {axis}"
                remedy = did_you_mean(value, list(allowed))
                yield PlanFault(view.own("axes", axis, index), message, remedy)


def _few_attempts(view: AssetView) -> Iterator[PlanFault]:
    asset = view.complete
    if view.all_valid("attempts", "candidates") and asset.attempts < asset.candidates:
        message = f"are fewer than the {asset.candidates} candidates that are made at once"
        remedy = f"write attempts: {asset.candidates} or more"
        yield PlanFault(view.source("attempts"), message, remedy)


def _never_refined(view: AssetView) -> Iterator[PlanFault]:
    asset = view.complete
    given = view.all_valid("refine", "attempts", "candidates")
    if given and asset.refine is Refine.REASON and asset.attempts <= asset.candidates:
        message = "has no effect: no attempt follows the first round"
        remedy = f"write attempts: {asset.candidates + 1} or more, or remove refine"
        yield PlanFault(view.source("refine"), message, remedy)


def _half_a_frame(view: AssetView) -> Iterator[PlanFault]:
    """Requires width and height of the generated image together, or both from the model version."""
    written = {"width": view.complete.width, "height": view.complete.height}
    for field, other in (("width", "height"), ("height", "width")):
        if view.all_valid(field, other) and written[field] is not None and written[other] is None:
            remedy = f"add {other}:, or leave both to the model"
            yield PlanFault(view.source(field), f"is given without {other}", remedy)


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
