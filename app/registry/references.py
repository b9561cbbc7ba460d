"""The references of a plan: the models of its run, fonts, and background images.

Bundled models are known at once; registered ones are looked up in the registry when named.

An alias is resolved the first time it is named and stays the same for the life of the mapping, so
that a promotion during a run cannot give one run two models.
"""

from collections.abc import Iterator, Mapping, Sequence

from app.errors import ModelNotFound, NoRoute, PromotionRefused
from app.fleet.versions import resolve
from app.models import bundled
from app.plan.background import background_bytes
from app.plan.schema import Plan
from app.settings import Settings
from app.store.catalog import Catalog
from app.store.pointers import resolved
from app.types import ModelVersion
from app.types.registered_version import RegisteredVersion
from app.types.text_layer import TextLayer


def available_models(settings: Settings) -> Mapping[str, ModelVersion]:
    """Returns every model a plan may name; MLflow is loaded only for models that are not bundled.

    Looking up `name@alias` or `name/number` raises NoRoute when there is no such version, and
    RegistryError when the registry does not answer.
    """
    return _AvailableModels(settings)


def pin_references(plan: Plan, models: Mapping[str, ModelVersion], settings: Settings) -> Plan:
    """Returns the plan with every alias replaced by its current version, every font by its digest.

    So a run records the version, and the same assets have the same names and keys whether the plan
    names an alias or a version. Backgrounds keep the digests from when the plan was read. Raises
    NoRoute, and InvalidRequest for an unknown font.
    """
    assets = (
        asset.replace(
            model=asset.model and _number(asset.model, models),
            text_layers=with_fonts(asset.text_layers, settings),
        )
        for asset in plan.assets
    )
    chosen = plan.route and plan.route.replace(
        models=tuple(_number(model, models) for model in plan.route.models)
    )
    return plan.replace(model=_number(plan.model, models), route=chosen, assets=tuple(assets))


def with_fonts(layers: Sequence[TextLayer], settings: Settings) -> tuple[TextLayer, ...]:
    """Returns the layers with the digests of their fonts; raises InvalidRequest."""
    if not layers:
        return ()
    from app.models.text.fonts import Fonts

    fonts = Fonts(settings.fonts)
    return tuple(layer.replace(font_digest=fonts.find(layer.font).digest) for layer in layers)


def background_files(plan: Plan) -> tuple[bytes, ...]:
    """Returns the files of the plan's backgrounds, each once.

    A plan recorded by a run names backgrounds by digest alone, and the run's store has the files:
    it gives none here. Raises InvalidRequest when a file has changed since the plan was read.
    """
    named = [asset.background for asset in (plan.defaults, *plan.assets)]
    by_digest = {
        background.digest: background
        for background in named
        if background is not None and background.folder
    }
    return tuple(background_bytes(background) for background in by_digest.values())


def _number(reference: str, models: Mapping[str, ModelVersion]) -> str:
    return resolve(reference, models).reference if "@" in reference else reference


def find_registered(reference: str, settings: Settings) -> RegisteredVersion:
    """Returns the registered version behind `name@alias` or `name/number`.

    Raises ModelNotFound, PromotionRefused when the alias points nowhere, or RegistryError.
    """
    from app.registry.registry import open_registry

    catalog = Catalog.open(settings.catalog)
    try:
        reference = resolved(catalog, reference)
    finally:
        catalog.close()
    return open_registry(settings).version(reference)


class _AvailableModels(Mapping[str, ModelVersion]):
    """Iterates over the models known so far; other registered models are found only by name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known = bundled.bundled_models()
        self._bundled = {version.reference: version for version in self._known.values()}

    def __getitem__(self, reference: str) -> ModelVersion:
        if reference in self._bundled:
            return self._bundled[reference]
        if reference not in self._known and self._may_be_registered(reference):
            self._known[reference] = self._ask(reference)
        return self._known[reference]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def _may_be_registered(self, reference: str) -> bool:
        """Returns whether to ask the registry; a bundled model's name is never registered."""
        name = reference.replace("@", "/").partition("/")[0]
        return name != reference and name not in bundled.bundled_names()

    def _ask(self, reference: str) -> ModelVersion:
        try:
            return find_registered(reference, self._settings).model
        except (ModelNotFound, PromotionRefused) as exc:
            raise NoRoute(str(exc)) from exc
