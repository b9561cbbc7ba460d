"""Runs one model at a time on warm Ray actors; its images are rendered, checked and timed.

Nothing is checked while anything renders, so that on a small machine no time is disturbed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import ray
import ray.exceptions

from app.environment import environment
from app.errors import AtelierError, BackendError
from app.fleet.prices import Price
from app.registry.benchmark import ImageResult, Machine, Participant
from app.settings import Settings
from app.types import Route
from jobs.model_bench.check_worker import CheckedImage, CheckWorker
from jobs.model_bench.participants import NamedModel
from jobs.model_bench.render_worker import RenderTime, RenderWorker, TimedImage, WorkerUsage
from jobs.model_bench.workload import WorkloadRequest
from jobs.runtime.cluster import cores, gpus

SINGLE, BATCH = 16, 64
"""Images between two rounds of checks, and requests that a worker is given at once."""
CHECK_WORKERS = 4
"""The most workers that check images at once."""
SHOWN = 4
"""Seeds of each line whose images the report shows."""
MAX_DEATHS = 3
"""How often a render worker that dies is replaced; the image it was at has failed."""

Advance = Callable[[int], None]
Thumbnails = dict[tuple[int, int], bytes]
"""PNG by line and seed."""
_One = TypeVar("_One")


@dataclass(frozen=True, slots=True)
class ModelRun:
    """One model's part of a benchmark: its requests and its price."""

    starter: NamedModel
    route: Route
    price: Price
    asked: Sequence[WorkloadRequest]
    refused: dict[int, str]


class BenchRunner:
    """Actors on the running cluster; `workers` render at once, by default one per GPU, or one."""

    def __init__(self, settings: Settings, *, workers: int | None) -> None:
        self._settings = settings
        self._workers = workers or max(gpus(), 1)
        examiner = ray.remote(CheckWorker).options(num_cpus=0.25)
        count = min(cores(), CHECK_WORKERS)
        self._examiners: list[Any] = [examiner.remote() for _ in range(count)]

    def run(self, turn: ModelRun, advance: Advance) -> tuple[Participant, Thumbnails]:
        """Loads the model, runs its requests and unloads it; calls `advance` for every image and
        pass.

        Raises what loading raises, and BackendError when render workers die repeatedly.
        """
        if not turn.asked:
            return _participant(turn, [], []), {}
        pool = _RenderPool(turn, self._settings, self._workers)
        try:
            examined = [*self._render_single(pool, turn.asked, advance)]
            done = [
                request
                for request, check in zip(turn.asked, examined, strict=True)
                if check.verdict
            ]
            # a request that failed alone spoils no batch, and a hosted model's calls are paid for
            # once
            again = done if turn.route.model.hosted is None else []
            advance(len(turn.asked) - len(again))
            batch = dict(zip(map(id, again), pool.render_batches(again, advance), strict=True))
            places = pool.usages()
        finally:
            pool.close()
        shots = [
            _image_result(request, check, batch.get(id(request), check.took), turn.price, places)
            for request, check in zip(turn.asked, examined, strict=True)
        ]
        pictures = {
            (request.work, request.request.seed): check.thumbnail
            for request, check in zip(turn.asked, examined, strict=True)
            if check.thumbnail
        }
        return _participant(turn, shots, places), pictures

    def _render_single(
        self, pool: "_RenderPool", requests: Sequence[WorkloadRequest], advance: Advance
    ) -> Iterator[CheckedImage]:
        for some in _slices(requests, SINGLE):
            refs = [ref for few in _slices(some, pool.count) for ref in pool.render_each(few)]
            looks = [
                self._examiners[index % len(self._examiners)].check.remote(
                    ref, request.request, request.rules, show=request.request.seed < SHOWN
                )
                for index, (request, ref) in enumerate(zip(some, refs, strict=True))
            ]
            yield from ray.get(looks)
            advance(len(some))


class _RenderPool:
    """The render workers of one model; dead ones are replaced, up to MAX_DEATHS."""

    def __init__(self, turn: ModelRun, settings: Settings, count: int) -> None:
        self._turn, self._settings = turn, settings
        self._deaths = 0
        self.count = min(count, len(turn.asked))
        self._actors = [self._new() for _ in range(self.count)]
        _answers([actor.load.remote() for actor in self._actors])

    def render_each(self, requests: Sequence[WorkloadRequest]) -> list[Any]:
        """Returns a reference to a `TimedImage` per request; all are done when this returns."""
        pairs = zip(self._actors, requests, strict=False)
        refs = [actor.render_one.remote(request.request) for actor, request in pairs]
        ray.wait(refs, num_returns=len(refs), fetch_local=False)
        return [self._with_restart(index, ref) for index, ref in enumerate(refs)]

    def render_batches(
        self, requests: Sequence[WorkloadRequest], advance: Advance
    ) -> list[RenderTime]:
        """Returns each request's share of its batch's time."""
        took: list[RenderTime] = []
        for some in _slices(requests, BATCH * self.count):
            parts = [[request.request for request in part] for part in _slices(some, BATCH)]
            pairs = zip(self._actors, parts, strict=False)
            refs = [actor.render_batch.remote(part) for actor, part in pairs]
            for shares in _answers(refs):
                took += shares
            advance(len(some))
        return took

    def usages(self) -> list[WorkerUsage]:
        """Returns where the workers ran, and what memory each took."""
        return list(_answers([actor.usage.remote() for actor in self._actors]))

    def close(self) -> None:
        """Kills the workers: what they held is free for the next model."""
        for actor in self._actors:
            ray.kill(actor)

    def _new(self) -> Any:
        on_gpu = 1 if gpus() else 0
        options = {"num_cpus": 0 if on_gpu else 0.5, "num_gpus": on_gpu}
        first = self._turn.asked[0].request
        return ray.remote(RenderWorker).options(**options).remote(
            self._turn.route, self._settings, first
        )  # fmt: skip

    def _with_restart(self, index: int, ref: Any) -> Any:
        """Returns the reference; if its worker died, one to a failure, and starts a new worker."""
        try:
            ray.get(ref)
            return ref
        except ray.exceptions.RayActorError as exc:
            self._deaths += 1
            if self._deaths > MAX_DEATHS:
                raise BackendError(
                    f"the workers of {self._turn.starter.named} died {self._deaths} times: "
                    f"{_last_line(exc)}; see whether it fits this machine's memory",
                    backend="ray",
                ) from exc
            self._actors[index] = self._new()
            return ray.put(TimedImage(error="the worker died of it"))
        except ray.exceptions.RayTaskError as exc:
            raise BackendError(f"a worker broke: {_last_line(exc)}", backend="ray") from exc


def _answers(refs: Sequence[Any]) -> Sequence[Any]:
    """Returns the actors' answers; turns what they raised into our own errors."""
    try:
        answers: list[Any] = ray.get(list(refs))
        return answers
    except ray.exceptions.RayTaskError as exc:
        if isinstance(exc.cause, AtelierError):
            raise exc.cause from exc
        raise BackendError(f"a worker broke: {_last_line(exc)}", backend="ray") from exc
    except ray.exceptions.RayError as exc:
        raise BackendError(
            f"a worker died: {_last_line(exc)}; see whether the model fits this machine's memory",
            backend="ray",
        ) from exc


def _last_line(exc: Exception) -> str:
    return str(exc).strip().splitlines()[-1]


def _slices(items: Sequence[_One], size: int) -> Iterator[Sequence[_One]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _image_result(
    request: WorkloadRequest,
    check: CheckedImage,
    batch: RenderTime,
    price: Price,
    places: Sequence[WorkerUsage],
) -> ImageResult:
    on_gpu = places[0].machine.device.startswith("cuda")
    return ImageResult(
        work=request.work,
        seed=request.request.seed,
        seconds=check.took.seconds,
        processor_seconds=check.took.processor_seconds,
        batch_seconds=batch.seconds,
        batch_processor_seconds=batch.processor_seconds,
        usd=price.attempt_usd(batch.seconds, gpu=on_gpu),
        verdict=check.verdict,
        reasons=check.reasons,
        complaints=check.complaints,
        agreement=check.agreement,
        legibility=check.legibility,
    )


def _participant(
    turn: ModelRun, shots: Sequence[ImageResult], places: Sequence[WorkerUsage]
) -> Participant:
    gpu = [place.gpu_memory_mib for place in places if place.gpu_memory_mib is not None]
    nowhere = Machine(processor=environment().processor, device="", mode="")
    model = turn.starter.model
    return Participant(
        named=turn.starter.named,
        reference=model.reference,
        weights_digest=model.weights_digest,
        machine=places[0].machine if places else nowhere,
        memory_mib=max((place.memory_mib for place in places), default=0.0),
        gpu_memory_mib=max(gpu, default=None),
        refused=turn.refused,
        shots=tuple(shots),
    )
