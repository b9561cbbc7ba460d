"""Generate: renders requests into images of the store; each image is made at most once."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic, process_time, sleep, thread_time

from app.backends import Backend
from app.digest import digest_bytes
from app.engine.results import FailedRequest, RenderedImage
from app.errors import AtelierError
from app.fleet.prices import on_gpu
from app.generate.heartbeat import Heartbeat
from app.generate.provenance import provenance_of
from app.generate.terms import GenerationTerms
from app.image.init_image import latents_bytes
from app.image.png import png_bytes
from app.store.ledger import AttemptCost
from app.store.png_metadata import image_text
from app.store.publish import (
    Claim,
    Store,
    attempts,
    claim,
    hand_back,
    publish_images,
    release,
)
from app.types import GeneratedImage, GenerationRequest, Route
from app.types.candidate import Outcome

LEASE_SECONDS = 60
WAIT_SECONDS = 900
"""How many times, a second apart, a lease of another run is polled while that run renews it."""
PUBLISH_SECONDS = 5.0
"""The longest time a finished image waits for others; a dying worker loses no more than that."""
MAX_TRIES = 3
"""How many attempts at a request may end without an outcome before it counts as poison."""


class WorkerLeaving(AtelierError):
    """The worker was asked to stop: its images are published, other requests are free again."""


def _never_leaving() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Generator:
    """Renders requests with one backend and publishes the images; one per worker.

    `owner` names the run in its leases: a worker that takes over within the same run need not wait
    for the leases of the worker that died.
    """

    route: Route
    backend: Backend
    store: Store
    owner: str
    terms: GenerationTerms = field(default_factory=GenerationTerms)
    wait: Callable[[float], None] = sleep
    stuck_seconds: float | None = None
    """If no image is finished within this time, the process kills itself; None: never."""
    keeps_latents: bool = False
    """Whether the latents of new images are stored too, for another model to continue from."""
    leaving: Callable[[], bool] = _never_leaving
    """Called between images; returns whether this worker must stop."""

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Outcome]:
        """Returns one outcome per request, in order: committed images are reused, others made.

        Safe to repeat and to run in parallel: a request leased by another run is waited for until
        it is committed or its lease expires; money reserved by others is waited for until it is
        spent or released. A request that no budget covers is not started. Requests with an earlier
        unfinished attempt run one at a time, so that a request that kills its worker affects no
        other. Raises WorkerLeaving when the worker is asked to stop before all images are made.
        """
        wanted = {self.route.key(request.id): request for request in requests}
        begun = attempts(self.store, list(wanted))
        outcomes = self._claim_all({key: wanted[key] for key in wanted if key not in begun})
        for key in begun:
            outcomes |= self._claim_all({key: wanted[key]})
        return [outcomes[self.route.key(request.id)] for request in requests]

    def _claim_all(self, wanted: Mapping[str, GenerationRequest]) -> dict[str, Outcome]:
        """Claims and renders the requests; retries keys that others lease until they are free."""
        outcomes: dict[str, Outcome] = {}
        accounts = {key: self.terms.account(request, self.route) for key, request in wanted.items()}
        for _ in range(WAIT_SECONDS):
            if self.leaving():
                raise WorkerLeaving("the worker goes; nothing further was begun, ask another")
            claimed = claim(
                self.store,
                [key for key in wanted if key not in outcomes],
                owner=self.owner,
                seconds=LEASE_SECONDS,
                accounts=accounts,
                caps=self.terms.caps,
            )
            outcomes |= _known_outcomes(claimed, wanted) | self._make(claimed, wanted)
            if not claimed.busy:
                return outcomes
            self.wait(1.0)
        return outcomes | {key: _busy(wanted[key]) for key in wanted if key not in outcomes}

    def _make(self, claimed: Claim, wanted: Mapping[str, GenerationRequest]) -> dict[str, Outcome]:
        """Renders and publishes the claimed requests; releases the leases of those that failed."""
        poison = {key for key, tries in claimed.won.items() if tries > MAX_TRIES}
        healthy = {key: wanted[key] for key in claimed.won if key not in poison}
        started = monotonic()
        outcomes = self._rendered(healthy, claimed) if healthy else {}
        failed = [key for key, outcome in outcomes.items() if outcome.image is None]
        if poison or failed:
            seconds = (
                monotonic() - started - sum(_seconds(outcome) for outcome in outcomes.values())
            )
            took = self._failure_cost(max(seconds, 0.0) / max(len(failed), 1))
            took_each = dict.fromkeys(failed, took)
            release(self.store, [*poison, *failed], owner=self.owner, took=took_each)
        return outcomes | {key: _poisoned(wanted[key]) for key in poison}

    def _failure_cost(self, seconds: float) -> AttemptCost:
        """Returns what one failure is charged: its share of the time that no image accounts for."""
        return AttemptCost(seconds, self.terms.price.max_usd(seconds))

    def _rendered(
        self, wanted: Mapping[str, GenerationRequest], claimed: Claim
    ) -> dict[str, Outcome]:
        """Encodes images while the next ones render; publishes every few seconds."""
        outcomes: dict[str, Outcome] = {}
        heartbeat = Heartbeat(
            self.store,
            list(wanted),
            owner=self.owner,
            lease_seconds=LEASE_SECONDS,
            stuck_seconds=self.stuck_seconds,
        )
        with heartbeat, ThreadPoolExecutor(1, thread_name_prefix="encode") as encoder:
            batch = _PublishBatch()
            for item in self.backend.generate(list(wanted.values())):
                heartbeat.beat()
                key = self.route.key(item.request.id)
                if isinstance(item, FailedRequest):
                    outcomes[key] = _failed(item)
                    continue
                batch.files.append(encoder.submit(self._encode, item, key, claimed.won[key]))
                if batch.seconds > PUBLISH_SECONDS:
                    outcomes |= self._publish(batch)
                    batch = _PublishBatch()
                if self.leaving():
                    break
            outcomes |= self._publish(batch)
        if outcomes.keys() < wanted.keys():
            left = [key for key in wanted if key not in outcomes or outcomes[key].image is None]
            hand_back(self.store, left, owner=self.owner)
            raise WorkerLeaving(f"the worker goes; {len(left)} requests are left, ask another")
        return outcomes

    def _publish(self, batch: "_PublishBatch") -> dict[str, Outcome]:
        if not batch.files:
            return {}
        cpu_seconds = batch.cpu_seconds
        files = [file.result() for file in batch.files]
        encoding = sum(file.seconds for file in files)
        share = max(cpu_seconds - encoding, 0.0) / len(files)
        images = [(file.image, file.data) for file in files]
        latents = [file.latents for file in files if file.latents is not None]
        return {
            image.key: Outcome(
                request=image.provenance.request, image=image, made=True, cpu_seconds=share
            )
            for image in publish_images(self.store, images, owner=self.owner, files=latents)
        }

    def _encode(self, item: RenderedImage, key: str, attempt: int) -> "_EncodedImage":
        started = thread_time()
        provenance = provenance_of(item, self.route, attempt=attempt)
        data = png_bytes(item.pixels, text=image_text(provenance))
        kept = item.latents if self.keeps_latents else None
        latents = None if kept is None else latents_bytes(kept)
        height, width, _ = item.pixels.shape
        image = GeneratedImage(
            key=key,
            request_id=item.request.id,
            digest=digest_bytes(data),
            width=width,
            height=height,
            seconds=item.seconds,
            cost_usd=self.terms.price.attempt_usd(item.seconds, gpu=on_gpu(item.engine)),
            provenance=provenance,
            latents=None if latents is None else digest_bytes(latents),
        )
        return _EncodedImage(image, data, latents, thread_time() - started)


@dataclass(frozen=True, slots=True)
class _EncodedImage:
    """An image record, its PNG bytes, its latents' bytes, and the CPU seconds spent on encoding."""

    image: GeneratedImage
    data: bytes
    latents: bytes | None
    seconds: float


class _PublishBatch:
    """Encoded images that are published together, and the time spent on them so far."""

    def __init__(self) -> None:
        self.files: list[Future[_EncodedImage]] = []
        self._started, self._cpu_started = monotonic(), process_time()

    @property
    def seconds(self) -> float:
        """Returns the seconds since the batch was started."""
        return monotonic() - self._started

    @property
    def cpu_seconds(self) -> float:
        """Returns the CPU seconds of this process since the batch was started."""
        return process_time() - self._cpu_started


def _known_outcomes(claimed: Claim, wanted: Mapping[str, GenerationRequest]) -> dict[str, Outcome]:
    """Returns the outcomes that need no work: committed images and requests refused by a budget."""
    outcomes = {
        key: Outcome(request=wanted[key], image=image) for key, image in claimed.committed.items()
    }
    refused = {
        key: Outcome(request=wanted[key], error=why, refused=True)
        for key, why in claimed.refused.items()
    }
    return outcomes | refused


def _seconds(outcome: Outcome) -> float:
    return outcome.image.seconds if outcome.image else 0.0


def _failed(item: FailedRequest) -> Outcome:
    return Outcome(request=item.request, error=str(item.error))


def _busy(request: GenerationRequest) -> Outcome:
    return Outcome(
        request=request, error="another run held this request's lease, or its money, too long"
    )


def _poisoned(request: GenerationRequest) -> Outcome:
    return Outcome(
        request=request,
        error=f"poison: {MAX_TRIES} workers began this request and none came to its end",
    )
