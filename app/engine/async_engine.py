"""The engine for concurrent callers: await a request, stream its previews, cancel, drain.

One thread owns the engine and its model; callers run in their own event loops. They put commands
into a queue that the owner empties between two steps.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from app.engine.engine import Engine
from app.engine.results import EngineEvent, FailedRequest, Preview, RenderedImage
from app.engine.state import Delivery, ServiceClass
from app.errors import EngineError, OutOfCapacity
from app.types import GenerationRequest

Command = Callable[[], None]


class RequestHandle:
    """The caller's handle for one request that an engine has accepted."""

    def __init__(
        self,
        request: GenerationRequest,
        service: ServiceClass,
        since: float,
        abandon: Callable[["RequestHandle"], None],
    ) -> None:
        self.request = request
        self.service = service
        self.since = since
        self.ticket = 0  # set by the owner's thread
        self._abandon = abandon
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Preview | RenderedImage | FailedRequest] = asyncio.Queue()

    async def events(self) -> AsyncGenerator[Preview | RenderedImage, None]:
        """Yields previews as they come, then the image; closing it early cancels the request.

        Raises the AtelierError that the request failed with.
        """
        ended = False
        try:
            while not ended:
                event = await self._events.get()
                ended = not isinstance(event, Preview)
                if isinstance(event, FailedRequest):
                    raise event.error
                yield event
        finally:
            if not ended:
                self._abandon(self)

    def put_event(self, event: Preview | RenderedImage | FailedRequest) -> None:
        """Passes an event to the caller's loop; called in the owner's thread."""
        with suppress(RuntimeError):  # the caller's loop has ended: nobody waits for the event
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)


class AsyncEngine:
    """Owns an engine in a thread; every method may be called from any event loop.

    At most `capacity` requests of each class are in flight, so that neither class takes the other's
    room; further ones are refused with OutOfCapacity. Cancelling the task that awaits a request
    cancels the request before the next step.
    """

    def __init__(self, engine: Engine, *, capacity: int = 256) -> None:
        self._engine = engine
        self._capacity = capacity
        self._lock = Lock()
        self._accepted: set[RequestHandle] = set()
        self._handles: dict[int, RequestHandle] = {}
        self._closing = False
        self._failure: Exception | None = None
        self._inbox: SimpleQueue[Command] = SimpleQueue()
        engine.on_decoded(partial(self._inbox.put, _wake))
        self._thread = Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def in_flight(self) -> int:
        """Returns the number of requests accepted and not ended."""
        return len(self._accepted)

    def in_flight_of(self, service: ServiceClass) -> int:
        """Returns how many requests in flight were accepted in this class."""
        with self._lock:
            return sum(handle.service is service for handle in self._accepted)

    async def generate(
        self, request: GenerationRequest, delivery: Delivery | None = None
    ) -> RenderedImage:
        """Returns the finished image. Raises OutOfCapacity or the AtelierError it failed with."""
        async with aclosing(self.stream(request, delivery)) as events:
            async for event in events:
                if isinstance(event, RenderedImage):
                    return event
        raise EngineError(f"request {request.id[:12]} ended without an image")

    async def stream(
        self, request: GenerationRequest, delivery: Delivery | None = None
    ) -> AsyncGenerator[Preview | RenderedImage, None]:
        """Yields previews as often as `delivery` asks for, and the image at the end.

        Raises OutOfCapacity, or the AtelierError that the request failed with.
        """
        handle = self.submit(request, delivery)
        async with aclosing(handle.events()) as events:
            async for event in events:
                yield event

    def submit(self, request: GenerationRequest, delivery: Delivery | None = None) -> RequestHandle:
        """Accepts a request now and returns its handle, with which its delivery can be changed.

        Raises OutOfCapacity when the engine is full or draining, EngineError when it has failed.
        """
        service = (delivery or Delivery()).service
        handle = RequestHandle(request, service, self._engine.now, self._abandon)
        with self._lock:
            self._check_accepting(handle.service)
            self._accepted.add(handle)
        self._inbox.put(partial(self._submit, handle, delivery))
        return handle

    def prioritise(self, handle: RequestHandle, delivery: Delivery) -> None:
        """Sets a new delivery for a request, from the next step on."""
        self._inbox.put(lambda: self._engine.prioritise(handle.ticket, delivery))

    def _abandon(self, handle: RequestHandle) -> None:
        self._inbox.put(lambda: self._engine.cancel(handle.ticket))

    async def drain(self) -> None:
        """Refuses new requests, waits until all accepted ones have ended, and ends the thread."""
        with self._lock:
            self._closing = True
        self._inbox.put(_wake)
        await asyncio.to_thread(self._thread.join)

    def _check_accepting(self, service: ServiceClass) -> None:
        if self._failure is not None:
            raise EngineError("the engine broke; start a new one") from self._failure
        if self._closing:
            raise OutOfCapacity("the engine is draining; ask another one")
        if sum(handle.service is service for handle in self._accepted) >= self._capacity:
            raise OutOfCapacity(
                f"the engine holds {self._capacity} requests already; try again later"
            )

    def _submit(self, handle: RequestHandle, delivery: Delivery | None) -> None:
        handle.ticket = self._engine.submit(handle.request, delivery, since=handle.since)
        self._handles[handle.ticket] = handle

    def _run(self) -> None:
        """Runs the owner's loop; an engine failure is reported to all waiting and later callers."""
        try:
            while self._run_once():
                pass
        except Exception as error:
            with self._lock:
                self._failure = error
                waiting, self._accepted = self._accepted, set()
            for handle in waiting:
                handle.put_event(FailedRequest(handle.request, _broken(handle.request, error)))
        finally:
            self._engine.close()

    def _run_once(self) -> bool:
        """Runs pending commands and one step, delivers its events; returns False once drained."""
        self._run_commands()
        for event in self._engine.step(wait=False):
            self._dispatch(event)
        return self._engine.busy or not self._closing or not self._inbox.empty()

    def _run_commands(self) -> None:
        """Blocks on the queue only when a step would have nothing to do."""
        asleep = self._engine.idle
        with suppress(Empty):
            while True:
                self._inbox.get(block=asleep)()
                asleep = False

    def _dispatch(self, event: EngineEvent) -> None:
        handle = self._handles[event.ticket]
        if not isinstance(event.result, Preview):
            del self._handles[event.ticket]
            with self._lock:
                self._accepted.discard(handle)
        handle.put_event(event.result)


def _broken(request: GenerationRequest, error: Exception) -> EngineError:
    broken = EngineError(f"the engine broke while request {request.id[:12]} was in it")
    broken.__cause__ = error
    return broken


def _wake() -> None:
    """Does nothing: a command that only wakes the owner."""
