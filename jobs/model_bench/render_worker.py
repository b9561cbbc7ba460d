"""The render worker: keeps one model warm and measures what each image takes."""

import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from time import perf_counter, process_time

import psutil

from app.backends import Backend
from app.engine.results import FailedRequest, RenderedImage
from app.environment import environment
from app.generate.renderer import open_renderer
from app.image.png import png_bytes
from app.registry.benchmark import Machine
from app.settings import Settings
from app.store.publish import open_store
from app.types import GenerationRequest, Route, Value
from app.types.registered_version import Amount

_MIB = 2**20


class RenderTime(Value):
    """Seconds of wall time and of CPU time."""

    seconds: Amount = 0.0
    processor_seconds: Amount = 0.0


class TimedImage(Value):
    """One image as PNG, or why there is none; and what it took."""

    png: bytes = b""
    error: str = ""
    took: RenderTime = RenderTime()


class WorkerUsage(Value):
    """Where the model ran, and the memory it took at its peak."""

    machine: Machine
    memory_mib: Amount
    gpu_memory_mib: Amount | None


class RenderWorker:
    """Loads the model on first use, and renders one image that is not measured."""

    def __init__(self, route: Route, settings: Settings, first: GenerationRequest) -> None:
        self._route, self._settings, self._first = route, settings, first
        self._store = open_store(settings.blobs, settings.catalog)
        self._before = psutil.Process().memory_info().rss
        self._device, self._mode = "", ""

    @cached_property
    def _backend(self) -> Backend:
        """Loads the backend; work done once, such as the cost curve of a new model, is not
        measured.

        A hosted model does no such work, and every call of it is paid for.
        """
        backend = open_renderer(self._route, self._settings, self._store, fresh=True)
        for _ in backend.generate([self._first] if self._route.model.hosted is None else []):
            pass
        return backend

    def load(self) -> None:
        """Loads the model; raises what loading raises."""
        assert self._backend

    def render_one(self, request: GenerationRequest) -> TimedImage:
        """Renders one image alone; a failure is a value."""
        backend = self._backend
        with _timed() as took:
            (outcome,) = list(backend.generate([request]))
        if isinstance(outcome, FailedRequest):
            return TimedImage(error=str(outcome.error), took=took[0])
        self._record_usage(outcome)
        return TimedImage(png=png_bytes(outcome.pixels, text={}), took=took[0])

    def render_batch(self, requests: Sequence[GenerationRequest]) -> list[RenderTime]:
        """Renders a batch; returns each request's share of the time, which sum to the whole."""
        backend = self._backend
        seconds: dict[str, float] = {}
        with _timed() as took:
            for outcome in backend.generate(requests):
                if isinstance(outcome, RenderedImage):
                    seconds[outcome.request.id] = outcome.seconds
        return share_batch_time(took[0], [seconds.get(request.id) for request in requests])

    def usage(self) -> WorkerUsage:
        """Returns where it ran and what memory it took so far."""
        return WorkerUsage(
            machine=Machine(
                processor=environment().processor, device=self._device, mode=self._mode
            ),
            memory_mib=max(_peak_bytes() - self._before, 0) / _MIB,
            gpu_memory_mib=_gpu_peak_mib(),
        )

    def _record_usage(self, outcome: RenderedImage) -> None:
        if outcome.engine is not None:
            self._device, self._mode = outcome.engine.device, outcome.engine.mode


def share_batch_time(whole: RenderTime, seconds: Sequence[float | None]) -> list[RenderTime]:
    """Returns a batch's time, shared in proportion to the engine's own seconds.

    A failed request (None) gets an average share; where the engine counted nothing, all shares are
    equal.
    """
    known = [value for value in seconds if value]
    usual = sum(known) / len(known) if known else 1.0
    weights = [usual if value is None or not known else value for value in seconds]
    largest = max(weights)  # the smallest floats cannot be multiplied exactly
    weights = [weight / largest for weight in weights]
    total = sum(weights)
    return [
        RenderTime(
            seconds=whole.seconds * weight / total,
            processor_seconds=whole.processor_seconds * weight / total,
        )
        for weight in weights
    ]


@contextmanager
def _timed() -> Iterator[list[RenderTime]]:
    """Yields a list whose one item, once the block has ended, is the time it took."""
    took: list[RenderTime] = []
    clock, processor = perf_counter(), process_time()
    yield took
    took.append(
        RenderTime(seconds=perf_counter() - clock, processor_seconds=process_time() - processor)
    )


def _peak_bytes() -> int:
    """Returns the most memory this process ever held: exact on Linux, less so elsewhere."""
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _gpu_peak_mib() -> float | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return float(torch.cuda.max_memory_allocated() / _MIB)
