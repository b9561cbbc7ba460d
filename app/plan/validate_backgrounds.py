"""Pictures: faults of the backgrounds that a plan names, and the plan with their digests."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as Folder
from typing import TypeVar

from app.errors import NoRoute
from app.fleet.versions import resolve
from app.plan.background import Background, found
from app.plan.files import Unusable
from app.plan.schema import AUTO, Inheritable, Plan
from app.plan.validate_asset import Look
from app.plan.yaml_document import Complaint, Path
from app.types import ModelVersion

_Asset = TypeVar("_Asset", bound=Inheritable)


class Pictures:
    """The backgrounds of a plan in this folder, each opened once."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._seen: dict[Background, Background | Unusable] = {}

    def complaints(
        self, looks: Sequence[Look], models: Mapping[str, ModelVersion] | None
    ) -> Iterator[Complaint]:
        """What is wrong with each background, and with the asset that is to be set over it.

        Which models set text is asked of `models`; without them it is left to the route.
        """
        default = looks[0].plan.defaults.background
        if default is not None and looks[0].written.sound("defaults", "background"):
            yield from self._unusable(default, ("defaults", "background"))
        for look in looks:
            background = look.complete.background
            if background is None or not look.given("background"):
                continue
            path = look.source("background")
            yield from self._unusable(background, path)
            if look.given("text_layers") and not look.asset.text_layers:
                remedy = f"give {look.asset.name} text_layers:, or remove background"
                yield Complaint(path, "is there for text, and none is set over it", remedy)
            elif models is not None and look.given("model") and not _sets_text(look, models):
                message = f"is there for text, and model: {look.complete.model} sets none"
                yield Complaint(path, message, f"give {look.asset.name} model: typography")

    def named(self, plan: Plan) -> Plan:
        """The plan without faults, its backgrounds with the digests of their bytes."""
        assets = tuple(self._named(asset) for asset in plan.assets)
        return plan.replace(defaults=self._named(plan.defaults), assets=assets)

    def _unusable(self, background: Background, path: Path) -> Iterator[Complaint]:
        opened = self._open(background)
        if isinstance(opened, Unusable):
            yield Complaint(path, opened.message, opened.remedy, background.file)

    def _named(self, asset: _Asset) -> _Asset:
        if asset.background is None:
            return asset
        opened = self._open(asset.background)
        assert isinstance(opened, Background)
        return asset.replace(background=opened)

    def _open(self, background: Background) -> Background | Unusable:
        if background not in self._seen:
            try:
                self._seen[background] = found(background, self._folder)
            except Unusable as error:
                self._seen[background] = error
        return self._seen[background]


def _sets_text(look: Look, models: Mapping[str, ModelVersion]) -> bool:
    """A choice of models might paint over the picture; an unknown model is another's to say."""
    reference = look.complete.model
    if reference == AUTO:
        return False
    try:
        return "text" in resolve(reference, models).capabilities
    except NoRoute:
        return True
