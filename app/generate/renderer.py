"""Opens the backend that renders a route on this machine, with this machine's settings."""

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

from app.backends import Backend
from app.environment import use_strict_blas
from app.errors import InvalidRequest, NoRoute
from app.fleet.hosted_requests import SEEDED
from app.settings import Settings
from app.store.publish import Store
from app.types import ModelVersion, Route

if TYPE_CHECKING:
    from app.engine.engine import Engine, Mode
    from app.engine.pipeline import Start
    from app.models.any_diffusers import DiffusersBackend


def open_renderer(
    route: Route, settings: Settings, store: Store, *, fresh: bool = False
) -> Backend:
    """Loads the backend that the route names; heavy imports happen here.

    With `fresh`, a hosted model must not answer from an earlier response under the same idempotency
    key. Raises ModelNotFound, DigestMismatch when the files are not those of the version, or
    InvalidRequest when this device cannot do what the settings ask.
    """
    if route.model.hosted is not None:
        from app.backends.openai_images import OpenAIImages

        hosted = route.model.hosted
        return OpenAIImages(
            route,
            hosted,
            settings.hosted_key(hosted.host),
            timeout_seconds=settings.hosted_timeout_seconds,
            at_once=settings.hosted_at_once,
            fresh=uuid4().hex if fresh else "",
        )
    if route.backend == "echo":
        from app.backends.echo import EchoBackend, EchoSettings

        return EchoBackend(EchoSettings())
    from app.image.init_image import read_init_image

    return load_engine(
        route.model,
        settings,
        mode=settings.engine_mode,
        images=lambda digest: read_init_image(store.blobs.get(digest)),
    )


def uses_service(route: Route, settings: Settings) -> bool:
    """Returns whether a running service renders this route's images for a run."""
    return bool(settings.service) and route.backend == "engine"


def service_renderer(route: Route, settings: Settings) -> Backend:
    """Returns a backend for the route's model version in the service at `ATELIER_SERVICE`."""
    from app.backends.service import ServiceBackend

    return ServiceBackend(
        route,
        settings.service,
        settings.service_key,
        mode=settings.engine_mode,
        timeout_seconds=settings.hosted_timeout_seconds,
    )


def require_service(routes: Iterable[Route], settings: Settings) -> None:
    """Raises InvalidRequest unless the service is reachable and serves these exact versions.

    Does nothing when no route uses a service.
    """
    models = [route.model for route in routes if uses_service(route, settings)]
    if models:
        from app.backends.service import require_service_models

        require_service_models(settings.service, settings.service_key, models)


def open_reproducing_renderer(route: Route, settings: Settings, store: Store) -> Backend:
    """Opens a backend that renders an image again, to compare it with the stored one.

    Raises what `open_renderer` raises, and NoRoute for a model that takes no seed: the call would
    cost money and return a different image.
    """
    if route.model.hosted is not None and SEEDED not in route.model.capabilities:
        raise NoRoute(
            f"{route.model.reference} takes no seed, so it paints another picture every time and "
            "nothing was sent; what is stored is the only one, keep copies of it"
        )
    return open_renderer(route, settings, store, fresh=True)


def load_engine(
    model: ModelVersion,
    settings: Settings,
    *,
    mode: "Mode",
    threads: int = 1,
    images: "Callable[[str], Start] | None" = None,
    clock: Callable[[], float] = monotonic,
) -> "Engine | DiffusersBackend":
    """Loads the model, with a step engine where its family denoises in steps.

    The engine measures waiting times and step times with `clock`. Raises what `open_renderer`
    raises, and InvalidRequest for a hosted model.
    """
    if model.hosted is not None:
        raise InvalidRequest(
            f"{model.reference} is hosted at {model.hosted.host} and cannot be loaded here; "
            "name it in plans, or give a local model"
        )
    use_strict_blas()
    from app.engine.engine import Engine
    from app.models.any_diffusers import DiffusersBackend
    from app.models.bundled import folder_of
    from app.models.cost_curves import exact_rows_of, knee_of
    from app.models.load import load

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
    if isinstance(pipeline, DiffusersBackend):
        return pipeline
    knee = knee_of(pipeline, model, folder=folder, home=settings.home)
    exact_rows = exact_rows_of(pipeline, model, home=settings.home)
    return Engine(pipeline, mode=mode, knee=knee, exact_rows=exact_rows, images=images, clock=clock)


def find_route(reference: str, models: Mapping[str, ModelVersion]) -> Route:
    """Returns a route to this model version, or to the version that has its name now.

    Raises NoRoute when this machine has no model of that name.
    """
    model = models[reference] if reference in models else _model_of_same_name(reference, models)
    return Route(backend=model.backend, model=model, reason=f"replaying what {reference} made")


def _model_of_same_name(reference: str, models: Mapping[str, ModelVersion]) -> ModelVersion:
    name = reference.partition("/")[0]
    named = [model for model in models.values() if model.name == name]
    same = [model for model in named if model.reference == reference]
    if not named:
        raise NoRoute(f"no model {name} is on this machine any more; register {reference} again")
    return (same or named)[0]
