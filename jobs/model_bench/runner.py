"""The studio: one model at a time on warm Ray actors; its pictures painted, examined and timed.

Nobody examines while somebody paints, so that on a small machine no time is disturbed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import ray
import ray.exceptions

from app.environment import environment
from app.errors import AtelierError, BackendError
from app.fleet.prices import Price
from app.registry.benchmark import Entrant, Machine, Shot
from app.settings import Settings
from app.types import Route
from jobs.model_bench.check_worker import Examined, Examiner
from jobs.model_bench.participants import Starter
from jobs.model_bench.render_worker import Painted, Painter, Place, Took
from jobs.model_bench.workload import Asked
from jobs.runtime.ray_data import cores, gpus

ALONE, BATCH = 16, 64
"""Pictures between two looks at them, and requests that a worker is given at once."""
EXAMINERS = 4
"""At most so many look at pictures at once."""
SHOWN = 4
"""Seeds of each line whose pictures the report shows."""
DEATHS = 3
"""How often a painter that dies is replaced; the picture it was at has failed."""

Advance = Callable[[int], None]
Thumbnails = dict[tuple[int, int], bytes]
"""PNG by line and seed."""
_One = TypeVar("_One")


@dataclass(frozen=True, slots=True)
class Turn:
    """One model's turn: all that it is asked for, and at what price."""

    starter: Starter
    route: Route
    price: Price
    asked: Sequence[Asked]
    refused: dict[int, str]


class Studio:
    """Actors of the running cluster; `workers` painters at once, one for each GPU or one in all."""

    def __init__(self, settings: Settings, *, workers: int | None) -> None:
        self._settings = settings
        self._workers = workers or max(gpus(), 1)
        examiner = ray.remote(Examiner).options(num_cpus=0.25)
        count = min(cores(), EXAMINERS)
        self._examiners: list[Any] = [examiner.remote() for _ in range(count)]

    def run(self, turn: Turn, advance: Advance) -> tuple[Entrant, Thumbnails]:
        """The model loaded, asked, and let go; `advance` is told of every picture and pass.

        Raises what loading raises, and BackendError when painters die again and again.
        """
        if not turn.asked:
            return _entrant(turn, [], []), {}
        painters = _Painters(turn, self._settings, self._workers)
        try:
            examined = [*self._alone(painters, turn.asked, advance)]
            came = [one for one, said in zip(turn.asked, examined, strict=True) if said.verdict]
            # who failed alone spoils no batch, and a hosted model's calls are paid for once
            again = came if turn.route.model.hosted is None else []
            advance(len(turn.asked) - len(again))
            batch = dict(zip(map(id, again), painters.together(again, advance), strict=True))
            places = painters.places()
        finally:
            painters.close()
        shots = [
            _shot(one, said, batch.get(id(one), said.took), turn.price, places)
            for one, said in zip(turn.asked, examined, strict=True)
        ]
        pictures = {
            (one.work, one.request.seed): said.thumbnail
            for one, said in zip(turn.asked, examined, strict=True)
            if said.thumbnail
        }
        return _entrant(turn, shots, places), pictures

    def _alone(
        self, painters: "_Painters", asked: Sequence[Asked], advance: Advance
    ) -> Iterator[Examined]:
        for some in _slices(asked, ALONE):
            refs = [ref for few in _slices(some, painters.count) for ref in painters.alone(few)]
            looks = [
                self._examiners[index % len(self._examiners)].examine.remote(
                    ref, one.request, one.rules, show=one.request.seed < SHOWN
                )
                for index, (one, ref) in enumerate(zip(some, refs, strict=True))
            ]
            yield from ray.get(looks)
            advance(len(some))


class _Painters:
    """The painters of one model; who dies is replaced, within limits."""

    def __init__(self, turn: Turn, settings: Settings, count: int) -> None:
        self._turn, self._settings = turn, settings
        self._deaths = 0
        self.count = min(count, len(turn.asked))
        self._actors = [self._new() for _ in range(self.count)]
        _answers([actor.ready.remote() for actor in self._actors])

    def alone(self, asked: Sequence[Asked]) -> list[Any]:
        """A reference to `Painted` for each, by as many painters; they are done when this ends."""
        pairs = zip(self._actors, asked, strict=False)
        refs = [actor.alone.remote(one.request) for actor, one in pairs]
        ray.wait(refs, num_returns=len(refs), fetch_local=False)
        return [self._outlived(index, ref) for index, ref in enumerate(refs)]

    def together(self, asked: Sequence[Asked], advance: Advance) -> list[Took]:
        """Each one's share of the batches."""
        took: list[Took] = []
        for some in _slices(asked, BATCH * self.count):
            parts = [[one.request for one in part] for part in _slices(some, BATCH)]
            pairs = zip(self._actors, parts, strict=False)
            refs = [actor.together.remote(part) for actor, part in pairs]
            for shares in _answers(refs):
                took += shares
            advance(len(some))
        return took

    def places(self) -> list[Place]:
        """Where they ran, and what memory each took."""
        return list(_answers([actor.place.remote() for actor in self._actors]))

    def close(self) -> None:
        """End them: what they held is free for the next model."""
        for actor in self._actors:
            ray.kill(actor)

    def _new(self) -> Any:
        on_gpu = 1 if gpus() else 0
        options = {"num_cpus": 0 if on_gpu else 0.5, "num_gpus": on_gpu}
        first = self._turn.asked[0].request
        return ray.remote(Painter).options(**options).remote(
            self._turn.route, self._settings, first
        )  # fmt: skip

    def _outlived(self, index: int, ref: Any) -> Any:
        """The reference; in place of a death's, one to a failure, and a new painter."""
        try:
            ray.get(ref)
            return ref
        except ray.exceptions.RayActorError as exc:
            self._deaths += 1
            if self._deaths > DEATHS:
                raise BackendError(
                    f"the workers of {self._turn.starter.named} died {self._deaths} times: "
                    f"{_last_line(exc)}; see whether it fits this machine's memory",
                    backend="ray",
                ) from exc
            self._actors[index] = self._new()
            return ray.put(Painted(error="the worker died of it"))
        except ray.exceptions.RayTaskError as exc:
            raise BackendError(f"a worker broke: {_last_line(exc)}", backend="ray") from exc


def _answers(refs: Sequence[Any]) -> Sequence[Any]:
    """The actors' answers; raises what they raised in our own words."""
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


def _shot(one: Asked, said: Examined, batch: Took, price: Price, places: Sequence[Place]) -> Shot:
    on_gpu = places[0].machine.device.startswith("cuda")
    return Shot(
        work=one.work,
        seed=one.request.seed,
        seconds=said.took.seconds,
        processor_seconds=said.took.processor_seconds,
        batch_seconds=batch.seconds,
        batch_processor_seconds=batch.processor_seconds,
        usd=price.of(batch.seconds, gpu=on_gpu),
        verdict=said.verdict,
        reasons=said.reasons,
        complaints=said.complaints,
        agreement=said.agreement,
        legibility=said.legibility,
    )


def _entrant(turn: Turn, shots: Sequence[Shot], places: Sequence[Place]) -> Entrant:
    gpu = [one.gpu_memory_mib for one in places if one.gpu_memory_mib is not None]
    nowhere = Machine(processor=environment().processor, device="", mode="")
    model = turn.starter.model
    return Entrant(
        named=turn.starter.named,
        reference=model.reference,
        weights_digest=model.weights_digest,
        machine=places[0].machine if places else nowhere,
        memory_mib=max((one.memory_mib for one in places), default=0.0),
        gpu_memory_mib=max(gpu, default=None),
        refused=turn.refused,
        shots=tuple(shots),
    )
