"""The generate stage: a warm model per worker, one micro-batch at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.backends import Backend
from app.generate.generate import Generator
from app.generate.renderer import open_renderer, service_renderer, uses_service
from app.generate.terms import GenerationTerms
from app.settings import Settings
from app.store.publish import Store, open_store
from app.types import GenerationRequest, Route
from app.types.candidate import Outcome
from jobs.runtime.batches import GenerateBatch, GeneratedBatch, GeneratedRow, GenerateRow
from jobs.runtime.ray_data import StageWorker
from jobs.stages.model_cache import ModelCache, weight_bytes


class GenerateStage(StageWorker[GenerateBatch, GeneratedBatch]):
    """Keeps the backends it has used loaded, up to `warm_gib` of weights."""

    takes = GenerateBatch
    num_cpus = 0.5

    def __init__(
        self, settings: Settings, run_id: str, terms: Mapping[str, GenerationTerms]
    ) -> None:
        self._settings = settings
        self._run_id = run_id
        self._terms = terms
        self._store: Store = open_store(settings.blobs, settings.catalog)
        self._warm = ModelCache(
            lambda route: open_renderer(route, settings, self._store),
            weight_bytes,
            max_bytes=int(settings.warm_gib * 2**30),
        )

    def _backend(self, route: Route) -> Backend:
        """Returns the engine of a configured service, else a model of this worker."""
        if uses_service(route, self._settings):
            return service_renderer(route, self._settings)
        return self._warm.backend(route)

    def run(self, value: GenerateBatch) -> GeneratedBatch:
        """Returns every request's outcome; a failure is a value, and the other requests go on."""
        hosted = value.route.model.hosted  # what a provider got is paid for: wait for it
        loads = self._warm.loads
        generator = Generator(
            route=value.route,
            backend=self._backend(value.route),
            store=self._store,
            owner=self._run_id,
            terms=replace(self._terms[value.route.model.reference], assets=_assets(value.items)),
            stuck_seconds=self._settings.stuck_seconds,
            keeps_latents=any(item.keeps_latents for item in value.items),
            leaving=lambda: self.drain_notice.draining and not hosted,
        )
        requests = [request for item in value.items for request in item.requests]
        outcomes = dict(zip(requests, generator.generate(requests), strict=True))
        items = tuple(
            GeneratedRow(spec=item.spec, outcomes=_of(item.requests, outcomes))
            for item in value.items
        )
        return GeneratedBatch(route=value.route, items=items, loads=self._warm.loads - loads)


def _assets(items: Sequence[GenerateRow]) -> dict[str, str]:
    """Returns the asset each request is made for; for equal requests, the first asset that asks."""
    asked = [(request.id, item.spec.name) for item in items for request in item.requests]
    return dict(reversed(asked))


def _of(
    requests: tuple[GenerationRequest, ...], outcomes: dict[GenerationRequest, Outcome]
) -> tuple[Outcome, ...]:
    return tuple(outcomes[request] for request in requests)
