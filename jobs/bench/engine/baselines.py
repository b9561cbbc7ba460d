"""Several ways to make the same images: the bare loop, diffusers' own pipeline, the engine.

Each returns the seconds it took on the model's clock. Prompts are encoded before the clock starts,
for all of them.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from app.engine.engine import Engine, Mode
from app.engine.pipeline import Rows
from app.engine.results import FailedRequest, Preview
from app.engine.state import Delivery, DenoiseState, ServiceClass
from app.models.sd3 import Sd3Pipeline
from app.types import GenerationRequest
from jobs.bench.engine.simulated_policies import Batch, RunBatch, TraceResult
from jobs.bench.engine.traces import Arrival

PROMPT = "a red potion"
GUIDANCE_SCALE = 4.5


@dataclass(frozen=True, slots=True)
class ModelUnderTest:
    """A model under test: its pipeline, diffusers' own, square images of `side` pixels.

    `rows` is the row budget; `now` reads the clock, on a GPU after all work there is done.
    """

    name: str
    pipeline: Sd3Pipeline
    stock: Any
    side: int
    rows: int
    now: Callable[[], float]

    def request(self, arrival: Arrival, seed: int) -> GenerationRequest:
        """Returns the request of an arrival."""
        return GenerationRequest(
            prompt=PROMPT,
            width=self.side,
            height=self.side,
            num_inference_steps=arrival.steps,
            guidance_scale=GUIDANCE_SCALE if arrival.guided else 1.0,
            seed=seed,
        )

    def begin(self, arrival: Arrival, seed: int) -> DenoiseState:
        """Returns the state of an arrival with its noise drawn and its prompt encoded."""
        return self.pipeline.begin(self.request(arrival, seed))

    def engine(self, *, mode: Mode = "reproducible", clock: Callable[[], float]) -> Engine:
        """Returns a new engine; the embeddings stay with the pipeline."""
        return Engine(self.pipeline, knee=lambda width, height: self.rows, mode=mode, clock=clock)


@torch.inference_mode()
def seconds_per_pass(model: ModelUnderTest, rows: int) -> float:
    """Measures one forward pass with this many rows, in seconds."""
    states = [model.begin(Arrival(0.0, 1, False, ""), seed) for seed in range(rows)]
    batch = StackedBatch(states)
    started = model.now()
    batch.velocity(model, step=0)
    return model.now() - started


@torch.inference_mode()
def bare_loop(model: ModelUnderTest, batch: Batch) -> float:
    """Runs full batches through transformer, Euler and VAE, and nothing else: the lower bound."""
    states = [model.begin(arrival, seed) for seed, arrival in enumerate(batch)]
    together = model.rows // batch[0].rows
    batches = [
        StackedBatch(states[first : first + together]) for first in range(0, len(states), together)
    ]
    started = model.now()
    for stacked in batches:
        stacked.run(model)
    return model.now() - started


class StackedBatch:
    """Requests with equal steps and guidance, stacked once."""

    def __init__(self, states: list[DenoiseState]) -> None:
        embeddings = [embedding for state in states for embedding in state.embeddings]
        self._latents = torch.stack([state.latents for state in states])
        self._tokens = torch.cat([embedding.tokens for embedding in embeddings])
        self._pooled = torch.cat([embedding.pooled for embedding in embeddings])
        self._like = states[0]

    def run(self, model: ModelUnderTest) -> None:
        """Runs all steps, then one decode of all latents."""
        sigmas = self._like.sigmas
        for step in range(self._like.steps_left):
            change = sigmas[step + 1] - sigmas[step]
            self._latents = self._latents + change * self.velocity(model, step=step)
        vae = model.stock.vae
        latents = self._latents.to(vae.dtype)
        vae.decode(latents / vae.config.scaling_factor + vae.config.shift_factor)

    def velocity(self, model: ModelUnderTest, *, step: int) -> torch.Tensor:
        """Returns one forward pass with guidance, [requests, channels, height, width]."""
        rows = self._like.rows
        timesteps = self._like.timesteps[step].repeat(rows * len(self._latents))
        latents = self._latents.repeat_interleave(rows, dim=0)
        velocity = model.pipeline.predict(Rows(latents, timesteps, self._tokens, self._pooled))
        pairs = velocity.float().reshape(-1, rows, *velocity.shape[1:])
        if rows == 1:
            return pairs[:, 0]
        return pairs[:, 0] + GUIDANCE_SCALE * (pairs[:, 1] - pairs[:, 0])


def stock_pipeline(model: ModelUnderTest) -> RunBatch:
    """Returns a function that calls diffusers' own pipeline once for the whole batch."""
    positive, negative = model.pipeline.encode(PROMPT), model.pipeline.encode("")

    def run(batch: Batch) -> float:
        count = len(batch)
        started = model.now()
        model.stock(
            prompt_embeds=positive.tokens.repeat(count, 1, 1),
            pooled_prompt_embeds=positive.pooled.repeat(count, 1),
            negative_prompt_embeds=negative.tokens.repeat(count, 1, 1),
            negative_pooled_prompt_embeds=negative.pooled.repeat(count, 1),
            width=model.side,
            height=model.side,
            num_inference_steps=batch[0].steps,
            guidance_scale=GUIDANCE_SCALE if batch[0].guided else 1.0,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in range(count)],
            output_type="np",
        )
        return model.now() - started

    return run


def one_at_a_time(model: ModelUnderTest, batch: Batch) -> float:
    """Runs diffusers' own pipeline in a plain loop over the requests; returns the seconds."""
    run = stock_pipeline(model)
    return sum(run([arrival]) for arrival in batch)


def run_engine(model: ModelUnderTest, batch: Batch) -> float:
    """Gives all requests to the engine at once; returns the seconds."""
    runner = model.engine(clock=model.now)
    requests = [model.request(arrival, seed) for seed, arrival in enumerate(batch)]
    started = model.now()
    for outcome in runner.generate(requests):
        if isinstance(outcome, FailedRequest):
            raise outcome.error
    seconds = model.now() - started
    runner.close()
    return seconds


def replay_trace(model: ModelUnderTest, arrivals: Batch, *, mode: Mode) -> TraceResult:
    """Replays a trace through the engine; a virtual clock advances by the steps' real time."""
    virtual = _VirtualTime()
    runner = model.engine(mode=mode, clock=lambda: virtual.now)
    coming = deque(range(len(arrivals)))
    tickets: dict[int, int] = {}
    finished = [0.0] * len(arrivals)
    while coming or runner.busy:
        if not runner.busy:
            virtual.now = max(virtual.now, arrivals[coming[0]].at)
        started = model.now()
        while coming and arrivals[coming[0]].at <= virtual.now:
            index = coming.popleft()
            request = model.request(arrivals[index], seed=index)
            tickets[runner.submit(request, Delivery(ServiceClass.INTERACTIVE))] = index
        ended = list(_finish(runner))
        virtual.now += model.now() - started
        for ticket in ended:
            finished[tickets[ticket]] = virtual.now
    runner.close()
    return TraceResult(arrivals, finished, runner.forward_passes, runner.row_steps)


@dataclass(slots=True)
class _VirtualTime:
    now: float = 0.0


def _finish(runner: Engine) -> Iterator[int]:
    for event in runner.step():
        if isinstance(event.result, FailedRequest):
            raise event.result.error
        if not isinstance(event.result, Preview):
            yield event.ticket
