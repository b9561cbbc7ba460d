"""Look: one asset of a salvaged plan, with what a check may ask of it before it compares."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from app.plan.inherit import CompleteAsset, complete, missing
from app.plan.recover import Salvaged
from app.plan.schema import Plan, PlanAsset
from app.plan.templates import variables
from app.plan.yaml_document import Path
from app.types import Kind, Size

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
        return missing(self.plan, self.asset)

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
