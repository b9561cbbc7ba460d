"""The engine: schedule -> run -> postprocess, one batched forward pass per denoising step.

What a request yields depends on the request and the pipeline alone: text is encoded and latents
are decoded one request at a time, noise comes from the request's seed, and every forward pass
runs at one fixed number of rows, padded with rows that nobody reads.
"""

from collections.abc import Iterable, Iterator
from time import perf_counter

import torch

from app.engine.pipeline import Pipeline, Rows
from app.engine.rendered import Failed, Rendered
from app.engine.scheduler import Scheduler
from app.engine.state import DenoiseState, PromptEmbedding
from app.errors import AtelierError, NotFinite
from app.types import EngineSettings, GenerationRequest


class Engine:
    """Drives one pipeline; not thread-safe, one owner calls it."""

    def __init__(self, pipeline: Pipeline, *, row_bucket: int = 16) -> None:
        self.pipeline = pipeline
        self.settings: EngineSettings = pipeline.settings.replace(row_bucket=row_bucket)
        self.forward_passes = 0
        self._scheduler = Scheduler(row_bucket)
        self._outcomes: list[Rendered | Failed] = []

    def submit(self, request: GenerationRequest) -> None:
        """Let a request join at the next step; what cannot start becomes `Failed`."""
        started = perf_counter()
        try:
            state = self.pipeline.begin(request)
        except AtelierError as error:
            self._outcomes.append(Failed(request, error))
            return
        state.seconds = perf_counter() - started
        self._scheduler.add(state)

    def step(self) -> list[Rendered | Failed]:
        """Advance the scheduled requests by one step; returns those that ended, in order."""
        states = self._scheduler.take()
        if states:
            self._run(states)
            self._scheduler.put_back([state for state in states if not state.finished])
            self._outcomes += [self._finish(state) for state in states if state.finished]
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def generate(self, requests: Iterable[GenerationRequest]) -> Iterator[Rendered | Failed]:
        """Run requests to their end, yielding each as it ends; order is not kept."""
        for request in requests:
            self.submit(request)
        while len(self._scheduler) or self._outcomes:
            yield from self.step()

    @torch.inference_mode()
    def _run(self, states: list[DenoiseState]) -> None:
        started = perf_counter()
        velocity = self.pipeline.predict(self._rows(states)).float()
        self.forward_passes += 1
        row = 0
        for state in states:
            _advance(state, velocity[row : row + state.rows])
            row += state.rows
        seconds = perf_counter() - started
        for state in states:
            state.seconds += seconds * state.rows / row

    def _rows(self, states: list[DenoiseState]) -> Rows:
        """Stack every request's rows (unconditional before conditional) and pad to the bucket."""
        rows = [(state, embedding) for state in states for embedding in _embeddings(state)]
        rows += [rows[-1]] * (self.settings.row_bucket - len(rows))
        return Rows(
            latents=torch.stack([state.latents for state, _ in rows]),
            timesteps=torch.stack([state.timesteps[state.step] for state, _ in rows]),
            tokens=torch.cat([embedding.tokens for _, embedding in rows]),
            pooled=torch.cat([embedding.pooled for _, embedding in rows]),
        )

    def _finish(self, state: DenoiseState) -> Rendered | Failed:
        request = state.request
        if not torch.isfinite(state.latents).all():
            return Failed(
                request,
                NotFinite(
                    f"request {request.id[:12]} ended in latents that are not finite; "
                    "try another seed or a lower guidance_scale"
                ),
            )
        started = perf_counter()
        pixels = self.pipeline.decode(state.latents)
        return Rendered(
            request=request,
            pixels=pixels,
            seconds=state.seconds + perf_counter() - started,
            prompt_embedding_digest=state.prompt.digest,
            noise_schedule=state.schedule,
            engine=self.settings,
        )


def _embeddings(state: DenoiseState) -> tuple[PromptEmbedding, ...]:
    return (state.prompt,) if state.negative is None else (state.negative, state.prompt)


def _advance(state: DenoiseState, velocity: torch.Tensor) -> None:
    """Guidance (Ho & Salimans 2022) and one Euler step of the flow, in fp32."""
    guided = velocity[0]
    if state.negative is not None:
        guided = guided + state.request.guidance_scale * (velocity[1] - velocity[0])
    change = state.sigmas[state.step + 1] - state.sigmas[state.step]
    state.latents = state.latents + change * guided
    state.step += 1
