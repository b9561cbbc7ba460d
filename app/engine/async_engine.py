"""The engine for many callers at once: await a request, stream its previews, cancel, drain.

One thread owns the engine and its model; callers live in event loops of their own. What they
want done stands in an inbox that the owner empties between two steps.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from app.engine.engine import Engine
from app.engine.results import Event, Failed, Preview, Rendered
from app.engine.state import Delivery, Service
from app.errors import EngineError, OutOfCapacity
from app.types import GenerationRequest

Wish = Callable[[], None]


class Asked:
    """One request that an engine has accepted, in the hands of whoever asked for it."""

    def __init__(
        self,
        request: GenerationRequest,
        service: Service,
        since: float,
        abandon: Callable[["Asked"], None],
    ) -> None:
        self.request = request
        self.service = service
        self.since = since
        self.ticket = 0  # the owner's to give
        self._abandon = abandon
        self._loop = asyncio.get_running_loop()
        self._words: asyncio.Queue[Preview | Rendered | Failed] = asyncio.Queue()

    async def words(self) -> AsyncGenerator[Preview | Rendered, None]:
        """Previews as they come and the image at the end; closing it early cancels the request.

        Raises the AtelierError that the request came to.
        """
        ended = False
        try:
            while not ended:
                word = await self._words.get()
                ended = not isinstance(word, Preview)
                if isinstance(word, Failed):
                    raise word.error
                yield word
        finally:
            if not ended:
                self._abandon(self)

    def tell(self, word: Preview | Rendered | Failed) -> None:
        """Hand a word over, in the owner's thread."""
        with suppress(RuntimeError):  # the caller's loop has ended: nobody is there to be told
            self._loop.call_soon_threadsafe(self._words.put_nowait, word)


class AsyncEngine:
    """Owns an engine in a thread; every method may be called from any event loop.

    At most `capacity` requests of each class are in flight, so that neither takes the other's room;
    further ones are refused with OutOfCapacity.
    Cancelling the task that awaits a request cancels the request before the next step.
    """

    def __init__(self, engine: Engine, *, capacity: int = 256) -> None:
        self._engine = engine
        self._capacity = capacity
        self._lock = Lock()
        self._accepted: set[Asked] = set()
        self._asked: dict[int, Asked] = {}
        self._closing = False
        self._failure: Exception | None = None
        self._inbox: SimpleQueue[Wish] = SimpleQueue()
        engine.on_decoded(partial(self._inbox.put, _look_again))
        self._thread = Thread(target=self._own, name="engine", daemon=True)
        self._thread.start()

    @property
    def in_flight(self) -> int:
        """Requests accepted and not ended."""
        return len(self._accepted)

    def in_flight_of(self, service: Service) -> int:
        """Of them, those of a class; it is the one that they were accepted in."""
        with self._lock:
            return sum(asked.service is service for asked in self._accepted)

    async def generate(
        self, request: GenerationRequest, delivery: Delivery | None = None
    ) -> Rendered:
        """The finished image; raises OutOfCapacity or the AtelierError that the request came to."""
        async with aclosing(self.stream(request, delivery)) as words:
            async for word in words:
                if isinstance(word, Rendered):
                    return word
        raise EngineError(f"request {request.id[:12]} ended without an image")

    async def stream(
        self, request: GenerationRequest, delivery: Delivery | None = None
    ) -> AsyncGenerator[Preview | Rendered, None]:
        """Previews as often as `delivery` asks for, and the image at the end.

        Raises OutOfCapacity, or the AtelierError that the request came to.
        """
        asked = self.submit(request, delivery)
        async with aclosing(asked.words()) as words:
            async for word in words:
                yield word

    def submit(self, request: GenerationRequest, delivery: Delivery | None = None) -> Asked:
        """Accept a request now, so that it can be given another priority while it runs.

        Raises OutOfCapacity when the engine is full or draining, EngineError when it broke.
        """
        service = (delivery or Delivery()).service
        asked = Asked(request, service, self._engine.now, self._abandon)
        with self._lock:
            self._refuse(asked.service)
            self._accepted.add(asked)
        self._inbox.put(partial(self._submit, asked, delivery))
        return asked

    def prioritise(self, asked: Asked, delivery: Delivery) -> None:
        """From the next step on serve a request otherwise."""
        self._inbox.put(lambda: self._engine.prioritise(asked.ticket, delivery))

    def _abandon(self, asked: Asked) -> None:
        self._inbox.put(lambda: self._engine.cancel(asked.ticket))

    async def drain(self) -> None:
        """Refuse new requests, wait until all that were accepted have ended, end the thread."""
        with self._lock:
            self._closing = True
        self._inbox.put(_look_again)
        await asyncio.to_thread(self._thread.join)

    def _refuse(self, service: Service) -> None:
        if self._failure is not None:
            raise EngineError("the engine broke; start a new one") from self._failure
        if self._closing:
            raise OutOfCapacity("the engine is draining; ask another one")
        if sum(asked.service is service for asked in self._accepted) >= self._capacity:
            raise OutOfCapacity(
                f"the engine holds {self._capacity} requests already; try again later"
            )

    def _submit(self, asked: Asked, delivery: Delivery | None) -> None:
        asked.ticket = self._engine.submit(asked.request, delivery, since=asked.since)
        self._asked[asked.ticket] = asked

    def _own(self) -> None:
        """The owner's life; what breaks the engine is told to everybody who waits or comes."""
        try:
            while self._serve():
                pass
        except Exception as error:
            with self._lock:
                self._failure = error
                waiting, self._accepted = self._accepted, set()
            for asked in waiting:
                asked.tell(Failed(asked.request, _broken(asked.request, error)))
        finally:
            self._engine.close()

    def _serve(self) -> bool:
        """Wishes, one step, words; False once drained."""
        self._grant_wishes()
        for event in self._engine.step(wait=False):
            self._tell(event)
        return self._engine.busy or not self._closing or not self._inbox.empty()

    def _grant_wishes(self) -> None:
        """Asleep in the inbox only when a step would have nothing to do."""
        asleep = self._engine.idle
        with suppress(Empty):
            while True:
                self._inbox.get(block=asleep)()
                asleep = False

    def _tell(self, event: Event) -> None:
        asked = self._asked[event.ticket]
        if not isinstance(event.said, Preview):
            del self._asked[event.ticket]
            with self._lock:
                self._accepted.discard(asked)
        asked.tell(event.said)


def _broken(request: GenerationRequest, error: Exception) -> EngineError:
    broken = EngineError(f"the engine broke while request {request.id[:12]} was in it")
    broken.__cause__ = error
    return broken


def _look_again() -> None:
    """The wish of whoever only wants the owner awake."""
