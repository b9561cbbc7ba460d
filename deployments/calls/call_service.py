"""From what a caller asks to words from a painter: choose, check, claim, paint; knows no Ray."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from secrets import randbelow
from time import perf_counter, time

from app.api.keep import Chosen, Kept, keep
from app.api.keys import Owner
from app.api.requests import ImagesRequest, KeepRequest, preview_every, requests_of
from app.api.responses import Made, Painted, Problem
from app.errors import EngineError
from app.fleet.prices import budgets
from app.registry.references import with_fonts
from app.route.by_role import Choice, Role, Served, choose
from app.settings import Settings
from app.store.publish import Store, open_store
from app.types import GenerationRequest, ModelVersion
from deployments.calls.idempotency import CallKey, Ledger, NotAnswered
from deployments.calls.init_images import Sent, Start, forgotten, from_recent, from_sent
from deployments.calls.live_fleet import LiveFleet
from deployments.calls.rate_limit import Quota
from deployments.calls.recent_images import Recent, Recents
from deployments.messages import Begun, Commission, Painter, Picture, ReplicaState, Sketch, Turned
from deployments.monitoring.call_log import Course, observed
from deployments.monitoring.metrics import Meters, Waiting
from deployments.monitoring.scrape import Replicas, Scrape

SEEDS = 2**32
NOT_ANSWERED = {
    "invalid": (422, "invalid_request"),
    "failed": (500, "generation_failed"),
    "queue": (429, "queue_full"),
    "late": (504, "deadline_exceeded"),
    "moved": (503, "version_moved"),
}
"""Status and code of what a painter turns away; of all else, that there is no room."""


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, what came along, and the key under which the call may be repeated."""

    owner: Owner = field(default_factory=Owner)
    sent: Sent | None = None
    key: CallKey | None = None
    course: Course = field(default_factory=Course)
    bulk: bool = False
    """Whether nobody waits for it: it goes behind everybody who does."""


@dataclass(frozen=True, slots=True)
class Sketched:
    """A rough picture of one image of a call, and the how-manieth of that image it is."""

    request: GenerationRequest
    choice: Choice
    sketch: Sketch
    nth: int


@dataclass(frozen=True, slots=True)
class Completed:
    """One image of a call, finished; `image` is its place in the order of seeds."""

    painted: Painted
    choice: Choice
    image: int


@dataclass(frozen=True, slots=True)
class _Order:
    """A call that was looked through: who paints what."""

    asked: ImagesRequest
    choice: Choice
    requests: tuple[GenerationRequest, ...]
    files: Mapping[str, bytes]


class Desk:
    """Takes calls for the deployed models; `painters` has one for each role of `fleet`.

    At most `bulk_at_once` calls of bulk are under way, so that there is room for people.
    """

    def __init__(
        self,
        fleet: LiveFleet,
        painters: Mapping[Role, Painter],
        ledger: Ledger,
        recents: Recents,
        quota: Quota,
        settings: Settings,
        *,
        retry_after_seconds: int,
        meters: Meters | None = None,
        replicas: Replicas | None = None,
        bulk_at_once: int = 64,
        draw: Callable[[int], int] = randbelow,
        clock: Callable[[], float] = time,
    ) -> None:
        self._fleet = fleet
        self._painters = painters
        self._ledger = ledger
        self._recents = recents
        self._quota = quota
        self._settings = settings
        self._budgets = budgets(settings)
        self._retry_after = retry_after_seconds
        self._meters = meters or Meters()
        self._scrape = Scrape(self._meters, settings, replicas=replicas)
        self._bulk_at_once, self._bulk_calls = bulk_at_once, 0
        self._draw = draw
        self._clock = clock

    @property
    def fleet(self) -> tuple[Served, ...]:
        """What is deployed, as of now."""
        return self._fleet.served

    async def make(self, asked: ImagesRequest, call: Call) -> Made:
        """All images of a call; raises what `stream` raises."""
        async with aclosing(self.stream(asked, call)) as words:
            async for word in words:
                if isinstance(word, Made):
                    return word
        raise EngineError("a call ended without a word")

    async def stream(
        self, asked: ImagesRequest, call: Call
    ) -> AsyncGenerator[Sketched | Completed | Made]:
        """Sketches and images as they come, and at the end all of it together.

        A call with a key that was answered before is answered with the same images. Raises
        ModelNotFound, NoRoute, OutOfBounds or BadImage before any work, and NotAnswered when a
        key, a quota or the painter refuses.
        """
        with observed(call.course, self._meters):
            order = await self._order(asked, call)
            self._routed(call.course)
            with self._ledger.claim(call.key) as claim:
                if claim.made is None:
                    with (
                        self._room(call),
                        self._quota.claim(call.owner, len(order.requests)),
                    ):
                        async with aclosing(self._paint(order, call)) as words:
                            async for word in words:
                                if isinstance(word, Made):
                                    claim.keep(word)
                                    call.course.answered()
                                yield word
                    return
            self._meters.cache_hits.labels("answers").inc()
            call.course.answered()
            for image, painted in enumerate(claim.made.painted):
                yield Completed(painted, claim.made.choice, image)
            yield claim.made

    @contextmanager
    def _room(self, call: Call) -> Iterator[None]:
        if call.bulk and self._bulk_calls >= self._bulk_at_once:
            message = f"{self._bulk_calls} calls of bulk are under way; ask again later"
            raise NotAnswered(self._problem(Turned(reason="queue", message=message)))
        self._bulk_calls += call.bulk
        try:
            yield
        finally:
            self._bulk_calls -= call.bulk

    async def metrics(self) -> bytes:
        """Everything counted, in Prometheus' text format: see `scrape.py`."""
        return await self._scrape.text()

    async def keep(self, wanted: KeepRequest, owner: Owner) -> Kept:
        """Publish a picture that was painted a short while ago; raises NotAnswered, KeyConflict."""
        recent = self._recents.find(owner.name, wanted.request_id)
        if recent is None:
            raise forgotten("picture_unknown", "request_id")
        async with self._keeping:
            return await asyncio.to_thread(
                lambda: keep(_chosen(recent), self._store, name=wanted.name, usage=wanted.usage)
            )

    async def states(self) -> dict[Role, ReplicaState]:
        """What the painter of each role has under way."""
        states = await asyncio.gather(*(one.state() for one in self._painters.values()))
        return dict(zip(self._painters, states, strict=True))

    async def _order(self, asked: ImagesRequest, call: Call) -> _Order:
        choice = choose(asked.wish, self.fleet)
        layers = with_fonts(asked.text_layers, self._settings)
        start = await self._start(asked, call, choice.served)
        requests = requests_of(
            asked,
            choice.served,
            seed=self._draw(SEEDS),
            layers=layers,
            team=call.owner.team,
            origin=start.origin,
        )
        call.course.role = choice.served.role
        call.course.model = choice.served.model.reference
        call.course.requests = tuple(one.id for one in requests)
        return _Order(asked, choice, requests, start.files)

    async def _start(self, asked: ImagesRequest, call: Call, served: Served) -> Start:
        if call.sent is not None:
            return await asyncio.to_thread(from_sent, asked, call.sent, served)
        if asked.draft is None:
            return Start()
        recent = self._recents.find(call.owner.name, asked.draft)
        if recent is None:
            raise forgotten("draft_unknown", "draft")
        self._meters.cache_hits.labels("pictures").inc()
        return await asyncio.to_thread(from_recent, asked, recent, served)

    async def _paint(
        self, order: _Order, call: Call
    ) -> AsyncGenerator[Sketched | Completed | Made]:
        model = order.choice.served.model.reference
        with self._meters.under_way(model, len(order.requests), bulk=call.bulk) as waiting:
            async with aclosing(self._words(order, call, waiting)) as words:
                async for word in words:
                    yield word

    async def _words(
        self, order: _Order, call: Call, waiting: Waiting
    ) -> AsyncGenerator[Sketched | Completed | Made]:
        asked, choice, requests = order.asked, order.choice, order.requests
        commission = Commission(
            requests=requests,
            preview_every=preview_every(asked, requests[0].num_inference_steps),
            files=dict(order.files),
            deadline_ms=asked.deadline_ms,
            share=self._budgets.share(requests[0].tags.team),
            call=call.course.id,
            bulk=call.bulk,
            version=_version_named(asked, choice),
        )
        painted: dict[int, Painted] = {}
        sketched = [0] * len(requests)
        painter = self._painters[choice.served.role]
        async with aclosing(painter.paint(commission)) as words:
            async for word in words:
                waiting.over()
                if isinstance(word, Turned):
                    raise NotAnswered(self._problem(word))
                if isinstance(word, Begun):
                    choice = _painted_by(word.model, choice)
                    call.course.model = word.model.reference
                elif isinstance(word, Sketch):
                    yield Sketched(requests[word.index], choice, word, sketched[word.index])
                    sketched[word.index] += 1
                else:
                    painted[word.index] = word.painted
                    if not call.bulk:  # nobody goes on from these, and they would push out others
                        recent = Recent(word.painted, choice.served, order.files)
                        self._recents.add(call.owner.name, recent)
                    self._count(word, choice.served, call.course)
                    yield Completed(word.painted, choice, word.index)
        if len(painted) < len(requests):
            raise EngineError("a commission ended before all its images came")
        in_order = tuple(painted[index] for index in sorted(painted))
        yield Made(choice=choice, painted=in_order, created=int(self._clock()))

    def _routed(self, course: Course) -> None:
        seconds = course.seconds["route"] = perf_counter() - course.began
        if not course.bulk:
            self._meters.stage_seconds.labels(course.role, "route").observe(seconds)

    def _count(self, picture: Picture, served: Served, course: Course) -> None:
        role, model = served.role, served.model.reference
        self._meters.previews.labels(role, model).inc()
        self._meters.image_seconds.labels(role, model).observe(picture.painted.seconds)
        for stage, seconds in picture.stages.items():
            if not course.bulk:
                self._meters.stage_seconds.labels(role, stage).observe(seconds)
            course.seconds[stage] = course.seconds.get(stage, 0.0) + seconds

    def _problem(self, turned: Turned) -> Problem:
        status, code = NOT_ANSWERED.get(turned.reason, (503, "no_capacity"))
        waiting_helps = status in (429, 503)
        return Problem(
            status=status,
            code=code,
            message=turned.message,
            retry_after_seconds=self._retry_after if waiting_helps else None,
        )

    @cached_property
    def _keeping(self) -> asyncio.Lock:
        return asyncio.Lock()

    @cached_property
    def _store(self) -> Store:
        """Opened by the first picture that is kept: most services keep none."""
        return open_store(self._settings.blobs, self._settings.catalog)


def _version_named(asked: ImagesRequest, choice: Choice) -> str | None:
    """The version, when a caller names it and not the role or the alias."""
    reference = choice.served.model.reference
    return reference if asked.wish.model == reference else None


def _painted_by(model: ModelVersion, choice: Choice) -> Choice:
    """The choice as it came out: a role may have gone on to another version meanwhile."""
    return choice.replace(served=choice.served.replace(model=model))


def _chosen(recent: Recent) -> Chosen:
    painted = recent.painted
    return Chosen(
        png=painted.png,
        provenance=painted.provenance,
        seconds=painted.seconds,
        cost_usd=painted.cost_usd,
        model=recent.served.model,
        files=recent.files,
    )
