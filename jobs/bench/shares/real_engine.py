"""One real engine, with previews and bulk at once, measured in CPU time.

Arrivals come in virtual time, which advances by the CPU time of this process: other work on the
machine does not change the figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from time import process_time

from app.engine.engine import Engine
from app.engine.results import FailedRequest, Preview
from app.engine.state import Delivery, ServiceClass
from app.types import GenerationRequest
from jobs.bench.engine.traces import Arrival
from jobs.bench.shares.simulation import IN_FLIGHT, POLISH

PREVIEW = Delivery(ServiceClass.INTERACTIVE, team="art")
BULK = Delivery(ServiceClass.BULK, team="props")


@dataclass(slots=True)
class MeasuredWhile:
    """Each preview's wait, the row-steps of bulk, and the seconds of one measurement."""

    waits: dict[int, float] = field(default_factory=dict)
    bulk_row_steps: int = 0
    seconds: float = 0.0

    @property
    def bulk_row_steps_per_second(self) -> float:
        """Returns the row-steps per second of everything that is no preview."""
        return self.bulk_row_steps / self.seconds


class SharedEngine:
    """Drives an engine; every request has its own seed, so that nothing is reused."""

    def __init__(self, engine: Engine, side: int) -> None:
        self._engine, self._side = engine, side
        self._seeds = count()
        self._bulk: set[int] = set()

    def serve(
        self, arrivals: Sequence[Arrival], *, bulk: bool, seconds: float = 0.0
    ) -> MeasuredWhile:
        """Runs until all previews are made and `seconds` are over; bulk fills the remaining
        capacity.

        Bulk in flight at the end is dropped.
        """
        pace, coming, tickets = MeasuredWhile(), list(enumerate(arrivals)), dict[int, int]()
        before = self._engine.row_steps
        while coming or tickets or pace.seconds < seconds:
            if coming and not (bulk or self._engine.busy):
                pace.seconds = max(pace.seconds, coming[0][1].at)
            started = process_time()
            while coming and coming[0][1].at <= pace.seconds:
                index, arrival = coming.pop(0)
                guidance = 4.0 if arrival.guided else 1.0
                waited = pace.seconds - arrival.at
                tickets[self._ask(arrival.steps, guidance, PREVIEW, waited)] = index
            while bulk and len(self._bulk) < IN_FLIGHT:
                self._bulk.add(self._ask(POLISH[1], 4.0, BULK))
            ended = self._step()
            pace.seconds += process_time() - started
            for ticket in ended & tickets.keys():
                index = tickets.pop(ticket)
                pace.waits[index] = pace.seconds - arrivals[index].at
        mine = sum(arrival.row_steps for arrival in arrivals)
        pace.bulk_row_steps = self._engine.row_steps - before - mine
        self._drop_bulk()
        return pace

    def close(self) -> None:
        """Ends the engine."""
        self._engine.close()

    def _ask(self, steps: int, guidance: float, delivery: Delivery, waited: float = 0.0) -> int:
        request = GenerationRequest(
            prompt="a red potion", width=self._side, height=self._side,
            num_inference_steps=steps, guidance_scale=guidance, seed=next(self._seeds),
        )  # fmt: skip
        return self._engine.submit(request, delivery, since=self._engine.now - waited)

    def _step(self) -> set[int]:
        """Runs one step; returns the tickets of what ended."""
        ended = set()
        for event in self._engine.step():
            if isinstance(event.result, FailedRequest):
                raise event.result.error
            if not isinstance(event.result, Preview):
                ended.add(event.ticket)
        self._bulk -= ended
        return ended

    def _drop_bulk(self) -> None:
        for ticket in self._bulk:
            self._engine.cancel(ticket)
        self._bulk.clear()
        while self._engine.busy:
            self._engine.step()
