"""From last latents to pixels, in a thread of its own so that the next step need not wait."""

import concurrent.futures
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import PriorityQueue
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from app.engine.pipeline import Pixels
from app.engine.results import FailedRequest, RenderedImage
from app.engine.state import DenoiseState
from app.errors import AtelierError, OutOfMemory
from app.types import EngineSettings, GenerationRequest

TRIES = 3
"""How often a picture is decoded that found no memory: steps beside it may have taken it."""


class Decoder:
    """Decodes one picture after the other: those that people wait for, then as they were finished.

    Else a preview would wait for a whole step's worth of bulk that ended together. `took` is told
    what each took by `clock`, in the decoding thread.
    """

    def __init__(
        self,
        decode: Callable[[torch.Tensor, GenerationRequest], Pixels],
        settings: Callable[[DenoiseState], EngineSettings],
        *,
        clock: Callable[[], float] = perf_counter,
        on_decoded: Callable[[Hashable, float], None] | None = None,
    ) -> None:
        self._clock, self._on_decoded = clock, on_decoded
        self._decode = decode
        self._settings = settings
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._running: dict[int, tuple[DenoiseState, Future[RenderedImage | FailedRequest]]] = {}
        self._queue: PriorityQueue[
            tuple[int, int, DenoiseState, Future[RenderedImage | FailedRequest]]
        ]
        self._queue = PriorityQueue()
        self._places = 0
        self.on_decoded: Callable[[], None] = _wait_for_decode

    @property
    def busy(self) -> int:
        """Pictures handed in and not yet handed out."""
        return len(self._running)

    def submit(self, state: DenoiseState) -> None:
        """Queue a finished request."""
        future: Future[RenderedImage | FailedRequest] = Future()
        future.add_done_callback(lambda _: self.on_decoded())
        self._running[state.ticket] = (state, future)
        self._places += 1
        self._queue.put((state.delivery.service, self._places, state, future))
        self._pool.submit(self._decode_next)

    def cancel(self, ticket: int) -> DenoiseState | None:
        """Forget a picture; None when it is not here."""
        if ticket not in self._running:
            return None
        state, future = self._running.pop(ticket)
        future.cancel()
        return state

    def take_done(
        self, *, wait: bool
    ) -> Iterator[tuple[DenoiseState, RenderedImage | FailedRequest]]:
        """What was decoded since the last look; `wait` for the first if there is none yet."""
        if wait and self._running:
            futures = [future for _, future in self._running.values()]
            concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_COMPLETED)
        ended = [ticket for ticket, (_, future) in self._running.items() if future.done()]
        for ticket in ended:
            state, future = self._running.pop(ticket)
            yield state, future.result()

    def close(self) -> None:
        """End the thread; pictures still queued are dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _decode_next(self) -> None:
        """The first in the queue; what breaks while it is decoded, breaks whoever asks for it."""
        _, _, state, future = self._queue.get_nowait()
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(self._outcome(state))
        except BaseException as error:
            future.set_exception(error)

    def _outcome(self, state: DenoiseState) -> RenderedImage | FailedRequest:
        started, began = perf_counter(), self._clock()
        try:
            pixels = self._tried(state)
        except AtelierError as error:
            return FailedRequest(state.request, error)
        if self._on_decoded is not None:
            self._on_decoded(state.family, self._clock() - began)
        return RenderedImage(
            request=state.request,
            pixels=pixels,
            seconds=state.seconds + perf_counter() - started,
            prompt_embedding_digest=state.prompt.digest,
            noise_schedule=state.schedule,
            engine=self._settings(state),
            latents=_latents_kept(state),
        )

    def _tried(self, state: DenoiseState) -> Pixels:
        for _ in range(TRIES - 1):
            try:
                return self._decode(state.latents, state.request)
            except OutOfMemory:
                continue  # the steps beside it go on and give back what they took
        return self._decode(state.latents, state.request)


def _latents_kept(state: DenoiseState) -> NDArray[np.float32] | None:
    if not state.delivery.keep_latents:
        return None
    latents: NDArray[np.float32] = state.latents.float().cpu().numpy()
    return latents


def _wait_for_decode() -> None:
    """For those who wait in `done`."""
