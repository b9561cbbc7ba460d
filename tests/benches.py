"""Small complete benchmarks for tests that need one and do not care which."""

from app.registry.benchmark import Bench, Entrant, Figures, Machine, Shot, Work
from app.types import Measure, Verdict
from jobs.model_bench.aggregate import figures_of

MACHINE = Machine(processor="a processor", device="cpu", mode="reproducible")
WORKS = (
    Work(prompt="a red potion", labels=("icon",)),
    Work(prompt="a golden crown", labels=("hero",)),
    Work(prompt="a blue gem", text="Gems", labels=("hero", "poster")),
)


def shot_of(work: int = 0, seed: int = 0, **changes: object) -> Shot:
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
    return Shot.model_validate(fields | changes)


REFUSED = shot_of(
    1,
    verdict=Verdict.RETRY,
    complaints=(Measure.AGREEMENT,),
    reasons=("does not show what the prompt asks for: 0.2 (rule: agreement >= 0.75)",),
    agreement=0.2,
)
DEAD = shot_of(1, 1, verdict=None, reasons=("the worker died of it",))


def entrant_of(name: str = "draft/1", *shots: Shot, **changes: object) -> Entrant:
    """Two pictures of the first line, unless others are given."""
    fields: dict[str, object] = {
        "named": name,
        "reference": name,
        "weights_digest": "7" * 64,
        "machine": MACHINE,
        "memory_mib": 500,
        "shots": shots or (shot_of(), shot_of(seed=1)),
    }
    return Entrant.model_validate(fields | changes)


def row_of(entrant: Entrant) -> Figures:
    """Its row, in a benchmark of its own."""
    return figures_of(_empty(), entrant)


def bench_of(*entrants: Entrant, **changes: object) -> Bench:
    """A benchmark of these, in this order."""
    found = entrants or (entrant_of(),)
    empty = _empty()
    fields = {"entrants": found, "figures": tuple(figures_of(empty, one) for one in found)}
    return empty.replace(**(fields | changes))


def _empty() -> Bench:
    return Bench(
        id="b-1",
        measured_at="2026-01-01T00:00:00Z",
        workload="5" * 64,
        works=WORKS,
        samples=2,
        entrants=(),
        figures=(),
    )
