"""Decodes final latents to pixels in its own thread, so that the next step need not wait."""

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
"""Tries to decode an image that ran out of memory: parallel steps may have taken it."""


class Decoder:
    """Decodes one image at a time: interactive requests first, then in the order they finished.

    Otherwise an interactive image would wait for all bulk images that ended in the same step.
    `on_decoded` is called with the family and the seconds by `clock`, in the decoding thread.
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
        """Returns the number of images submitted and not yet taken."""
        return len(self._running)

    def submit(self, state: DenoiseState) -> None:
        """Queues a finished request."""
        future: Future[RenderedImage | FailedRequest] = Future()
        future.add_done_callback(lambda _: self.on_decoded())
        self._running[state.ticket] = (state, future)
        self._places += 1
        self._queue.put((state.delivery.service, self._places, state, future))
        self._pool.submit(self._decode_next)

    def cancel(self, ticket: int) -> DenoiseState | None:
        """Drops an image; returns its state, or None when it is not here."""
        if ticket not in self._running:
            return None
        state, future = self._running.pop(ticket)
        future.cancel()
        return state

    def take_done(
        self, *, wait: bool
    ) -> Iterator[tuple[DenoiseState, RenderedImage | FailedRequest]]:
        """Yields what was decoded since the last call; with `wait`, waits for at least one."""
        if wait and self._running:
            futures = [future for _, future in self._running.values()]
            concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_COMPLETED)
        ended = [ticket for ticket, (_, future) in self._running.items() if future.done()]
        for ticket in ended:
            state, future = self._running.pop(ticket)
            yield state, future.result()

    def close(self) -> None:
        """Ends the thread; images still queued are dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _decode_next(self) -> None:
        """Decodes the first in the queue; an unexpected exception is raised in `take_done`."""
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
                continue  # parallel steps go on and free their memory
        return self._decode(state.latents, state.request)


def _latents_kept(state: DenoiseState) -> NDArray[np.float32] | None:
    if not state.delivery.keep_latents:
        return None
    latents: NDArray[np.float32] = state.latents.float().cpu().numpy()
    return latents


def _wait_for_decode() -> None:
    """Does nothing: the default callback, for callers that wait in `take_done`."""
