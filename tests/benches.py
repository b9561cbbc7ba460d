"""Small complete benchmarks for tests that need one and do not care which."""

from app.registry.benchmark import (
    BenchmarkResult,
    ImageResult,
    Machine,
    ModelFigures,
    Participant,
    WorkItem,
)
from app.types import Measure, Verdict
from jobs.model_bench.aggregate import figures_of

MACHINE = Machine(processor="a processor", device="cpu", mode="reproducible")
WORKS = (
    WorkItem(prompt="a red potion", labels=("icon",)),
    WorkItem(prompt="a golden crown", labels=("hero",)),
    WorkItem(prompt="a blue gem", text="Gems", labels=("hero", "poster")),
)


def shot_of(work: int = 0, seed: int = 0, **changes: object) -> ImageResult:
    """An accepted picture where the test does not care."""
    fields: dict[str, object] = {
        "work": work,
        "seed": seed,
        "seconds": 1.0,
        "processor_seconds": 0.8,
        "batch_seconds": 0.5,
        "batch_processor_seconds": 0.4,
        "usd": 0.01,
        "verdict": Verdict.ACCEPT,
    }
    return ImageResult.model_validate(fields | changes)


REFUSED = shot_of(
    1,
    verdict=Verdict.RETRY,
    complaints=(Measure.AGREEMENT,),
    reasons=("does not show what the prompt asks for: 0.2 (rule: agreement >= 0.75)",),
    agreement=0.2,
)
DEAD = shot_of(1, 1, verdict=None, reasons=("the worker died of it",))


def participant_of(name: str = "draft/1", *shots: ImageResult, **changes: object) -> Participant:
    """Two pictures of the first line, unless others are given."""
    fields: dict[str, object] = {
        "named": name,
        "reference": name,
        "weights_digest": "7" * 64,
        "machine": MACHINE,
        "memory_mib": 500,
        "shots": shots or (shot_of(), shot_of(seed=1)),
    }
    return Participant.model_validate(fields | changes)


def row_of(participant: Participant) -> ModelFigures:
    """Its row, in a benchmark of its own."""
    return figures_of(_empty(), participant)


def bench_of(*participants: Participant, **changes: object) -> BenchmarkResult:
    """A benchmark of these, in this order."""
    taking_part = participants or (participant_of(),)
    empty = _empty()
    fields = {
        "entrants": taking_part,
        "figures": tuple(figures_of(empty, participant) for participant in taking_part),
    }
    return empty.replace(**(fields | changes))


def _empty() -> BenchmarkResult:
    return BenchmarkResult(
        id="b-1",
        measured_at="2026-01-01T00:00:00Z",
        workload="5" * 64,
        works=WORKS,
        samples=2,
        entrants=(),
        figures=(),
    )
