"""From what a caller asks to words from a painter: choose, check, claim, paint; knows no Ray."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from secrets import randbelow
from time import time

from app.answers import Made, Painted, Problem
from app.api import ImagesRequest, preview_every, requests_of
from app.errors import EngineError
from app.route_preview import Choice, Role, Served, choose
from app.types import GenerationRequest
from deployments.ledger import CallKey, Ledger, NotAnswered
from deployments.words import Commission, Painter, Picture, ReplicaState, Sketch, Turned

SEEDS = 2**32


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


class Desk:
    """Takes calls for the deployed models; `painters` has one for each role of `fleet`."""

    def __init__(
        self,
        fleet: Sequence[Served],
        painters: Mapping[Role, Painter],
        ledger: Ledger,
        *,
        retry_after_seconds: int,
        draw: Callable[[int], int] = randbelow,
        clock: Callable[[], float] = time,
    ) -> None:
        self.fleet = tuple(fleet)
        self._painters = painters
        self._ledger = ledger
        self._retry_after = retry_after_seconds
        self._draw = draw
        self._clock = clock

    async def make(self, asked: ImagesRequest, call: CallKey | None = None) -> Made:
        """All images of a call; raises what `stream` raises."""
        async with aclosing(self.stream(asked, call)) as words:
            async for word in words:
                if isinstance(word, Made):
                    return word
        raise EngineError("a call ended without a word")

    async def stream(
        self, asked: ImagesRequest, call: CallKey | None = None
    ) -> AsyncGenerator[Sketched | Completed | Made]:
        """Sketches and images as they come, and at the end all of it together.

        A call with a key that was answered before is answered with the same images. Raises
        ModelNotFound, NoRoute or OutOfBounds before any work, and NotAnswered when a key or
        the painter refuses.
        """
        choice = choose(asked.wish, self.fleet)
        seed = self._draw(SEEDS) if asked.seed is None else asked.seed
        requests = requests_of(asked, choice.served, seed=seed)
        with self._ledger.claim(call) as claim:
            if claim.made is None:
                async with aclosing(self._paint(asked, choice, requests)) as words:
                    async for word in words:
                        if isinstance(word, Made):
                            claim.keep(word)
                        yield word
                return
        for image, painted in enumerate(claim.made.painted):
            yield Completed(painted, claim.made.choice, image)
        yield claim.made

    async def states(self) -> dict[Role, ReplicaState]:
        """What the painter of each role has under way."""
        return {role: await painter.state() for role, painter in self._painters.items()}

    async def _paint(
        self, asked: ImagesRequest, choice: Choice, requests: Sequence[GenerationRequest]
    ) -> AsyncGenerator[Sketched | Completed | Made]:
        every = preview_every(asked, requests[0].num_inference_steps)
        commission = Commission(requests=tuple(requests), preview_every=every)
        painted: dict[int, Painted] = {}
        sketched = [0] * len(requests)
        painter = self._painters[choice.served.role]
        async with aclosing(painter.paint(commission)) as words:
            async for word in words:
                if isinstance(word, Turned):
                    raise NotAnswered(self._problem(word))
                request = requests[word.index]
                if isinstance(word, Sketch):
                    yield Sketched(request, choice, word, sketched[word.index])
                    sketched[word.index] += 1
                else:
                    painted[word.index] = _painted(request, word)
                    yield Completed(painted[word.index], choice, word.index)
        if len(painted) < len(requests):
            raise EngineError("a commission ended before all its images came")
        in_order = tuple(painted[index] for index in sorted(painted))
        yield Made(choice=choice, painted=in_order, created=int(self._clock()))

    def _problem(self, turned: Turned) -> Problem:
        if turned.reason == "invalid":
            return Problem(status=422, code="invalid_request", message=turned.message)
        if turned.reason == "failed":
            return Problem(status=500, code="generation_failed", message=turned.message)
        status, code = (429, "queue_full") if turned.reason == "queue" else (503, "no_capacity")
        return Problem(
            status=status,
            code=code,
            message=turned.message,
            retry_after_seconds=self._retry_after,
        )


def _painted(request: GenerationRequest, picture: Picture) -> Painted:
    return Painted(request=request, png=picture.png, seconds=picture.seconds)
