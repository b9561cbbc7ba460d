"""The engine: schedule -> run -> postprocess, one batched forward pass per denoising step.

A request's result depends on the request and the pipeline alone: text is encoded and latents are
decoded one request at a time, noise comes from the request's seed, and in mode `reproducible` every
forward pass of a family is padded to one fixed number of rows. With few requests, smaller passes
are faster: mode `exact` pads to the smallest bucket proven on this machine to give the same bits as
the fixed number (`exact_rows.py`); `fast` to the smallest there is.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import partial
from time import monotonic, perf_counter
from typing import Literal

import torch

from app.engine.cost_curve import StepCosts
from app.engine.decoder import Decoder
from app.engine.exact_rows import exact_rows as prove_exact_rows
from app.engine.latency_guard import LatencyGuard
from app.engine.pipeline import Pipeline, Pixels, Start, stack
from app.engine.results import EngineEvent, FailedRequest, Preview, RenderedImage
from app.engine.row_budget import GUIDED_ROWS, RowBudgets, RowChange, bucket_for
from app.engine.scheduler import PATIENCE_SECONDS, Scheduler
from app.engine.state import Delivery, DenoiseState
from app.engine.step import advance, multistep, restore_masked
from app.errors import AtelierError, Cancelled, InvalidRequest, OutOfMemory
from app.types import EngineSettings, GenerationRequest, Sampler

Mode = Literal["reproducible", "exact", "fast"]
SMOOTHING = 0.2


class Engine:
    """Drives one pipeline; not thread-safe: one thread calls it.

    `knee` gives the row budget for a width and a height in pixels (`app/engine/cost_curve.py`
    measures it); `exact_rows` gives, for a width, a height and a row budget, the row counts with
    the same bits, and is measured if omitted; `images` gives the RGBA pixels, or the latents,
    behind a digest that a request names.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        knee: Callable[[int, int], int],
        mode: Mode = "reproducible",
        exact_rows: Callable[[int, int, int], tuple[int, ...]] | None = None,
        images: Callable[[str], Start] | None = None,
        clock: Callable[[], float] = monotonic,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.pipeline = pipeline
        self.mode: Mode = mode
        self.row_steps = 0
        self._rounding = pipeline.settings.rounding
        self._images = images
        self._clock = clock
        self._step_seconds = 0.0
        self._tickets = 0
        self._sizes: dict[Hashable, tuple[int, int]] = {}
        self._prove = exact_rows or partial(prove_exact_rows, pipeline)
        self._exact: dict[Hashable, tuple[int, ...]] = {}
        self._budgets = RowBudgets(lambda family: knee(*self._sizes[family]), smallest=GUIDED_ROWS)
        self._costs = StepCosts()
        self._scheduler: Scheduler[DenoiseState] = Scheduler(
            self._budgets.rows,
            patience_seconds=patience_seconds,
            latency_guard=LatencyGuard(self._costs, self._bucket, self._budgets.rows),
        )
        self._decoder = Decoder(
            pipeline.decode, self._settings, clock=clock, on_decoded=self._costs.record_decode
        )
        self._events: deque[EngineEvent] = deque()

    @property
    def busy(self) -> bool:
        """Returns whether any request is in flight or any event not yet returned."""
        return bool(len(self._scheduler) or self._events or self._decoder.busy)

    @property
    def idle(self) -> bool:
        """Returns whether a step would have nothing to do but wait for decoding."""
        return not len(self._scheduler) and not self._events

    def on_decoded(self, call: Callable[[], None]) -> None:
        """Sets a callback that runs, in the decoding thread, whenever an image has been decoded."""
        self._decoder.on_decoded = call

    @property
    def forward_passes(self) -> int:
        """Returns the number of forward passes run so far."""
        return self._budgets.forward_passes

    @property
    def trace(self) -> Iterable[RowChange]:
        """Returns the last thousand changes of row budgets with their reasons, the oldest first."""
        return tuple(self._budgets.trace)

    @property
    def exact_rows(self) -> Mapping[tuple[int, int], tuple[int, ...]]:
        """Returns the row counts with the same bits by width and height, for the sizes met so far.

        Empty in the other modes, which do not need them.
        """
        return {self._sizes[family]: counts for family, counts in self._exact.items()}

    @property
    def now(self) -> float:
        """Returns the current time on the engine's clock, in seconds."""
        return self._clock()

    def submit(
        self,
        request: GenerationRequest,
        delivery: Delivery | None = None,
        *,
        since: float | None = None,
    ) -> int:
        """Adds a request at the next step; returns the ticket that identifies it in all events.

        `since` is the time when it was received, if earlier than now: its wait counts from then. A
        request that cannot start becomes a `FailedRequest` of the next step; one without steps is
        decoded.
        """
        self._tickets += 1
        started = perf_counter()
        try:
            state = self.pipeline.begin(
                request,
                init=self._start(request.init_image),
                mask=self._mask(request.mask_image),
            )
        except AtelierError as error:
            self._events.append(EngineEvent(self._tickets, FailedRequest(request, error)))
            return self._tickets
        state.ticket, state.joined = self._tickets, self._clock() if since is None else since
        state.delivery = delivery or Delivery()
        state.seconds = perf_counter() - started
        if state.finished:
            self._decoder.submit(state)
            return self._tickets
        self._sizes.setdefault(state.family, (request.width, request.height))
        self._scheduler.add(state)
        return self._tickets

    def _mask(self, digest: str | None) -> Pixels | None:
        mask = self._start(digest)
        if isinstance(mask, torch.Tensor):
            raise InvalidRequest(f"mask {digest} is no picture but latents; give an RGBA picture")
        return mask

    def _start(self, digest: str | None) -> Start | None:
        if digest is None:
            return None
        if self._images is None:
            raise InvalidRequest(
                f"image {digest[:12]} cannot be looked up here; give the engine its images"
            )
        return self._images(digest)

    def cancel(self, ticket: int) -> None:
        """Removes a request before the next step; does nothing if it has ended."""
        state = self._scheduler.remove(ticket) or self._decoder.cancel(ticket)
        if state is not None:
            error = Cancelled(f"request {state.request.id[:12]} was cancelled")
            self._events.append(EngineEvent(ticket, FailedRequest(state.request, error)))

    def prioritise(self, ticket: int, delivery: Delivery) -> None:
        """Sets a new delivery from the next step on; ignores tickets that have ended."""
        state = self._scheduler.find(ticket)
        if state is not None:
            state.delivery = delivery

    def step(self, *, wait: bool = True) -> list[EngineEvent]:
        """Advances the scheduled requests by one step; returns the events in order.

        Decoding runs in parallel with the next steps; it is waited for only when there is nothing
        else to do, and not at all without `wait`: then `on_decoded` signals when to call again.
        """
        states = self._scheduler.take(self._clock(), step_seconds=self._step_seconds)
        if states:
            self._run(states)
        for state, outcome in self._decoder.take_done(
            wait=wait and not states and not self._events
        ):
            self._events.append(EngineEvent(state.ticket, outcome))
        events = list(self._events)
        self._events.clear()
        return events

    def generate(
        self, requests: Iterable[GenerationRequest]
    ) -> Iterator[RenderedImage | FailedRequest]:
        """Runs requests to their end; yields each as it ends, with its latents, in any order."""
        for request in requests:
            self.submit(request, Delivery(keep_latents=True))
        while self.busy:
            for event in self.step():
                if not isinstance(event.result, Preview):
                    yield event.result

    def close(self) -> None:
        """Ends the decoding thread; requests in flight are dropped."""
        self._decoder.close()

    @torch.inference_mode()
    def _run(self, states: list[DenoiseState]) -> None:
        started, began = perf_counter(), self._clock()
        rows = sum(state.rows for state in states)
        bucket = self._bucket(states[0].family, rows)
        try:
            velocity = self.pipeline.predict(stack(states, bucket))
            latents, guided = advance(states, velocity, rounding=self._rounding)
            self.pipeline.wait_for_previous_step()
        except OutOfMemory as error:
            self._out_of_memory(states, bucket, error)
            return
        self._budgets.record_success(states[0].family)
        self._costs.record_step(states[0].family, bucket, self._clock() - began)
        self.row_steps += rows
        self._charge_seconds(states, bucket, seconds=perf_counter() - started)
        for state, after, velocity in zip(states, latents, guided, strict=True):
            self._apply_step(state, after, velocity)

    def _bucket(self, family: Hashable, rows: int) -> int:
        budget = self._budgets.rows(family)
        if self.mode == "reproducible":
            return budget
        if self.mode == "fast":
            return min(bucket_for(rows), budget)
        counts = self._exact_rows(family, budget)
        return next((count for count in counts if rows <= count <= budget), budget)

    def _exact_rows(self, family: Hashable, budget: int) -> tuple[int, ...]:
        """Returns the row counts proven once, for the budget that the family begins with."""
        if family not in self._exact:
            self._exact[family] = self._prove(*self._sizes[family], budget)
        return self._exact[family]

    def _charge_seconds(self, states: list[DenoiseState], bucket: int, *, seconds: float) -> None:
        """Charges each request for its share of the rows that are not padding."""
        rows = sum(state.rows for state in states)
        for state in states:
            state.seconds += seconds * state.rows / rows
            state.buckets.add(bucket)
        self._step_seconds += SMOOTHING * (seconds - self._step_seconds)

    def _apply_step(self, state: DenoiseState, after: torch.Tensor, velocity: torch.Tensor) -> None:
        multi = state.request.sampler is Sampler.DPMPP_2M
        if multi or state.preview_due:
            clean = state.latents - state.sigmas[state.step].to(velocity.device) * velocity
            if state.preview_due:
                self._events.append(EngineEvent(state.ticket, self._preview(state, clean)))
            if multi:
                after, state.clean = multistep(state, clean), clean
        state.latents = restore_masked(state, after)
        state.step += 1
        if state.finished:
            self._scheduler.remove(state.ticket)
            self._decoder.submit(state)

    def _preview(self, state: DenoiseState, clean: torch.Tensor) -> Preview:
        return Preview(
            request=state.request,
            step=state.step + 1,
            steps=len(state.timesteps),
            pixels=self.pipeline.preview(clean),
        )

    def _out_of_memory(self, states: list[DenoiseState], bucket: int, error: OutOfMemory) -> None:
        """Halves the row budget so that the same step is repeated: no state has changed."""
        if self._budgets.halve(states[0].family, f"out of memory at {bucket} rows"):
            return
        for state in states:
            self._scheduler.remove(state.ticket)
            self._events.append(EngineEvent(state.ticket, FailedRequest(state.request, error)))

    def _settings(self, state: DenoiseState) -> EngineSettings:
        return self.pipeline.settings.replace(
            mode=self.mode,
            row_buckets=tuple(sorted(state.buckets)),
            exact_rows=self._exact.get(state.family, ()),
        )
