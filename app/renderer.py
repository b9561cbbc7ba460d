"""From a route to what renders it on this machine, with the settings of this machine."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from app.backends.base import Backend
from app.errors import NoRoute
from app.settings import Settings
from app.store.publish import Store
from app.types import ModelVersion, Route

if TYPE_CHECKING:
    from app.engine.engine import Engine, Mode
    from app.engine.pipeline import Start
    from app.models.whole import WholePipeline


def renderer(route: Route, settings: Settings, store: Store) -> Backend:
    """Load what the route names; heavy imports happen here.

    Raises ModelNotFound, DigestMismatch when its files are not the version's, or InvalidRequest
    when this device cannot do what the settings ask.
    """
    if route.backend == "echo":
        from app.backends.echo import EchoBackend, EchoSettings

        return EchoBackend(EchoSettings())
    from app.init_image import read_init_image

    return driver_of(
        route.model,
        settings,
        mode=settings.engine_mode,
        images=lambda digest: read_init_image(store.blobs.get(digest)),
    )


def driver_of(
    model: ModelVersion,
    settings: Settings,
    *,
    mode: "Mode",
    threads: int = 1,
    images: "Callable[[str], Start] | None" = None,
) -> "Engine | WholePipeline":
    """The model loaded, behind a step engine where its family takes steps.

    Raises what `renderer` raises.
    """
    from app.engine.engine import Engine
    from app.models.curves import knee_of
    from app.models.load import load
    from app.models.versions import folder_of
    from app.models.whole import WholePipeline

    folder = folder_of(model)
    pipeline = load(
        folder,
        model,
        threads=threads,
        attention=settings.attention,
        compiled=settings.compiled,
        graphs=settings.cuda_graphs,
        fonts=settings.fonts,
    )
    if isinstance(pipeline, WholePipeline):
        return pipeline
    knee = knee_of(pipeline, model, folder=folder, home=settings.home)
    return Engine(pipeline, mode=mode, knee=knee, images=images)


def route_of(reference: str, models: Mapping[str, ModelVersion]) -> Route:
    """The way to a version that once answered: the same one, else what bears its name now.

    Raises NoRoute when this machine has no model of that name.
    """
    model = models[reference] if reference in models else _namesake(reference, models)
    backend = "echo" if model.family == "echo" else "engine"
    return Route(backend=backend, model=model, reason=f"replaying what {reference} made")


def _namesake(reference: str, models: Mapping[str, ModelVersion]) -> ModelVersion:
    name = reference.partition("/")[0]
    named = [one for one in models.values() if one.name == name]
    same = [one for one in named if one.reference == reference]
    if not named:
        raise NoRoute(f"no model {name} is on this machine any more; register {reference} again")
    return (same or named)[0]
