"""Generate: requests become images of the store, each made at most once whoever asks for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import process_time, sleep

from app.attempt import Outcome
from app.backends.base import Backend
from app.digest import digest_bytes
from app.engine.rendered import Failed, Rendered
from app.environment import environment
from app.png import png_bytes
from app.store.metadata import image_text
from app.store.publish import Claim, Store, attempts, claim, publish_images, release
from app.types import PIPELINE_VERSION, GeneratedImage, GenerationRequest, Provenance, Route

LEASE_SECONDS = 60
MAX_TRIES = 3
"""How often one request may be begun without coming to an end before it counts as poison."""


@dataclass(frozen=True, slots=True)
class Generator:
    """One worker's way from requests to images of the store.

    `owner` names the run in its leases: a worker that takes over inside the same run need not
    wait for the leases of the one that died.
    """

    route: Route
    backend: Backend
    store: Store
    owner: str
    usd_per_hour: float = 0.0
    wait: Callable[[float], None] = sleep

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Outcome]:
        """One outcome per request, in their order: committed images are reused, the rest made.

        Safe to repeat and to run beside others: a request leased by another run is waited for
        until it is committed or its lease runs out. What was begun before without coming to an
        end is begun alone, so that one request that kills its worker spoils no neighbour.
        """
        wanted = {self.route.key(request.id): request for request in requests}
        begun = attempts(self.store, list(wanted))
        outcomes = self._settle({key: wanted[key] for key in wanted if key not in begun})
        for key in begun:
            outcomes |= self._settle({key: wanted[key]})
        return [outcomes[self.route.key(request.id)] for request in requests]

    def _settle(self, wanted: Mapping[str, GenerationRequest]) -> dict[str, Outcome]:
        """Claim and make together; what others hold is claimed again until it is free."""
        outcomes: dict[str, Outcome] = {}
        for _ in range(LEASE_SECONDS + 1):
            missing = [key for key in wanted if key not in outcomes]
            claimed = claim(self.store, missing, owner=self.owner, seconds=LEASE_SECONDS)
            outcomes |= _found(claimed, wanted) | self._make(claimed, wanted)
            if not claimed.busy:
                return outcomes
            self.wait(1.0)
        return outcomes | {key: _busy(wanted[key]) for key in wanted if key not in outcomes}

    def _make(self, claimed: Claim, wanted: Mapping[str, GenerationRequest]) -> dict[str, Outcome]:
        """Render and publish what was won; hand back the leases of what came to nothing."""
        poison = {key for key, tries in claimed.won.items() if tries > MAX_TRIES}
        requests = [wanted[key] for key in claimed.won if key not in poison]
        started = process_time()
        rendered = list(self.backend.generate(requests))
        cpu_seconds = (process_time() - started) / max(len(rendered), 1)
        outcomes = self._published(rendered, claimed, cpu_seconds)
        outcomes |= {self.route.key(item.request.id): _failed(item) for item in _failures(rendered)}
        outcomes |= {key: _poisoned(wanted[key]) for key in poison}
        lost = [key for key, outcome in outcomes.items() if outcome.image is None]
        if lost:
            release(self.store, lost, owner=self.owner)
        return outcomes

    def _published(
        self, rendered: Sequence[Rendered | Failed], claimed: Claim, cpu_seconds: float
    ) -> dict[str, Outcome]:
        images = [
            self._encode(item, claimed.won[self.route.key(item.request.id)])
            for item in rendered
            if isinstance(item, Rendered)
        ]
        if not images:
            return {}
        published = publish_images(self.store, images, owner=self.owner)
        return {
            image.key: Outcome(
                request=image.provenance.request, image=image, made=True, cpu_seconds=cpu_seconds
            )
            for image in published
        }

    def _encode(self, item: Rendered, attempt: int) -> tuple[GeneratedImage, bytes]:
        provenance = self._provenance(item, attempt)
        data = png_bytes(item.pixels, text=image_text(provenance))
        height, width, _ = item.pixels.shape
        image = GeneratedImage(
            key=self.route.key(item.request.id),
            request_id=item.request.id,
            digest=digest_bytes(data),
            width=width,
            height=height,
            seconds=item.seconds,
            cost_usd=item.seconds * self.usd_per_hour / 3600,
            provenance=provenance,
        )
        return image, data

    def _provenance(self, item: Rendered, attempt: int) -> Provenance:
        return Provenance(
            request=item.request,
            request_id=item.request.id,
            prompt_digest=item.request.prompt_digest,
            prompt_embedding_digest=item.prompt_embedding_digest,
            noise_schedule=item.noise_schedule,
            model=self.route.model.reference,
            weights_digest=self.route.model.weights_digest,
            backend=self.route.backend,
            pipeline_version=PIPELINE_VERSION,
            engine=item.engine,
            environment=environment(),
            finishing=(),
            attempt=attempt,
            parent=None,
        )


def _found(claimed: Claim, wanted: Mapping[str, GenerationRequest]) -> dict[str, Outcome]:
    return {
        key: Outcome(request=wanted[key], image=image) for key, image in claimed.committed.items()
    }


def _failures(rendered: Sequence[Rendered | Failed]) -> list[Failed]:
    return [item for item in rendered if isinstance(item, Failed)]


def _failed(item: Failed) -> Outcome:
    return Outcome(request=item.request, error=str(item.error))


def _busy(request: GenerationRequest) -> Outcome:
    return Outcome(request=request, error="another run held this request's lease too long")


def _poisoned(request: GenerationRequest) -> Outcome:
    return Outcome(
        request=request,
        error=f"poison: {MAX_TRIES} workers began this request and none came to its end",
    )
