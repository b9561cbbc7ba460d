"""Measures a registered version on the golden set on this machine, and records the result."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from app.check.agreement import Critic
from app.digest import digest_folder
from app.fleet.prices import price_sheet
from app.generate.renderer import find_route, open_renderer
from app.models.bundled import critic_folder_of
from app.registry.golden import PROMPTS, SAMPLES, golden_requests, golden_set
from app.registry.golden import run_golden_set as measure_model
from app.registry.references import find_registered
from app.settings import Settings
from app.store.publish import open_store
from app.types import ModelVersion
from app.types.registered_version import GoldenResult, Tolerance

Progress = Callable[[int], AbstractContextManager[Callable[[int], None]]]
"""Called with the number of images; its context gives a callback for finished images."""


def measure_version(
    reference: str,
    settings: Settings,
    *,
    prompts: Sequence[str] | None = None,
    samples: int = SAMPLES,
    tolerance: Tolerance | None = None,
    progress: Progress,
) -> GoldenResult:
    """Renders the golden set, checks it and records the result; stores only a few of the images.

    Raises ModelNotFound, DigestMismatch when the files are not the version's, or InvalidRequest.
    """
    from app.registry.registry import open_registry

    model = find_registered(reference, settings).model
    golden = golden_set(model, *_critic(model), prompts=prompts or PROMPTS, samples=samples)
    route = find_route(model.reference, {model.reference: model})
    store = open_store(settings.blobs, settings.catalog)
    try:
        backend = open_renderer(route, settings, store, fresh=True)
        with progress(len(golden_requests(model, golden))) as seen:
            result, pictures = measure_model(
                model, backend, golden, price=price_sheet(settings).price(model, route.backend),
                tolerance=tolerance, seen=seen,
            )  # fmt: skip
    finally:
        store.catalog.close()
    open_registry(settings).record(result, pictures)
    return result


def _critic(model: ModelVersion) -> tuple[Critic | None, str]:
    """Returns the critic that scores agreement, and its digest; None and "" without one."""
    folder = critic_folder_of(model)
    return (Critic.load(folder), digest_folder(folder)) if folder else (None, "")
