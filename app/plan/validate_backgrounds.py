"""Background validation: faults of a plan's backgrounds, and the plan with their digests."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as Folder
from typing import TypeVar

from app.errors import NoRoute
from app.fleet.versions import resolve
from app.plan.background import Background, with_digest
from app.plan.files import UnusableFile
from app.plan.schema import AUTO, InheritableFields, Plan
from app.plan.validate_asset import AssetView
from app.plan.yaml_document import Path, PlanFault
from app.types import ModelVersion

_Asset = TypeVar("_Asset", bound=InheritableFields)


class BackgroundReader:
    """The backgrounds of a plan in this folder, each opened once."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._seen: dict[Background, Background | UnusableFile] = {}

    def faults(
        self, views: Sequence[AssetView], models: Mapping[str, ModelVersion] | None
    ) -> Iterator[PlanFault]:
        """Yields the faults of each background, and of the asset whose text is set over it.

        `models` says which models set text; without it routing checks that later.
        """
        default = views[0].plan.defaults.background
        if default is not None and views[0].recovered.valid("defaults", "background"):
            yield from self._file_fault(default, ("defaults", "background"))
        for view in views:
            background = view.complete.background
            if background is None or not view.all_valid("background"):
                continue
            path = view.source("background")
            yield from self._file_fault(background, path)
            if view.all_valid("text_layers") and not view.asset.text_layers:
                remedy = f"give {view.asset.name} text_layers:, or remove background"
                yield PlanFault(path, "is for text, but the asset has no text_layers", remedy)
            elif models is not None and view.all_valid("model") and not _sets_text(view, models):
                message = f"is for text, but model: {view.complete.model} does not set text"
                yield PlanFault(path, message, f"give {view.asset.name} model: typography")

    def with_digests(self, plan: Plan) -> Plan:
        """Returns a plan without faults, with the digests of its backgrounds' bytes."""
        assets = tuple(self._asset_with_digest(asset) for asset in plan.assets)
        return plan.replace(defaults=self._asset_with_digest(plan.defaults), assets=assets)

    def _file_fault(self, background: Background, path: Path) -> Iterator[PlanFault]:
        opened = self._open(background)
        if isinstance(opened, UnusableFile):
            yield PlanFault(path, opened.message, opened.remedy, background.file)

    def _asset_with_digest(self, asset: _Asset) -> _Asset:
        if asset.background is None:
            return asset
        opened = self._open(asset.background)
        assert isinstance(opened, Background)
        return asset.replace(background=opened)

    def _open(self, background: Background) -> Background | UnusableFile:
        if background not in self._seen:
            try:
                self._seen[background] = with_digest(background, self._folder)
            except UnusableFile as error:
                self._seen[background] = error
        return self._seen[background]


def _sets_text(view: AssetView, models: Mapping[str, ModelVersion]) -> bool:
    """Returns whether the asset's model sets text.

    A choice of models does not: one might render over the image. Other checks report an unknown
    model.
    """
    reference = view.complete.model
    if reference == AUTO:
        return False
    try:
        return "text" in resolve(reference, models).capabilities
    except NoRoute:
        return True
