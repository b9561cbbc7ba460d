"""Which row counts of the starter's forward pass give the same bits here, and what each costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch

from app.cli.output import make_console
from app.cli.tables import Table, escape, number
from app.engine.exact_rows import distinct_rows, exact_rows, pick_rows
from app.engine.pipeline import Pipeline, Rows
from app.environment import environment
from app.models.bundled import FOLDERS, bundled_models
from app.models.load import load
from app.models.sd3 import Sd3Pipeline
from app.types import Value
from jobs.bench.harness import Benchmark

COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32)
TIMED = (2, 4, 8, 16, 32)
SIDE, BUDGET, MICRO_BATCH = 64, 16, 4


@dataclass(frozen=True, slots=True)
class Extent:
    """The CPU threads of a pass, and how often each row count is timed."""

    threads: int
    rounds: int


class RowCounts(Value):
    """What was found on this machine."""

    processor: str
    blas_mode: str
    threads: int
    classes: tuple[tuple[int, ...], ...]
    """Row counts that give the same bits, class by class."""
    exact_rows: tuple[int, ...]
    """Those that the engine proves for a budget of 16 rows."""
    milliseconds: dict[int, float]
    """The median of a pass by its rows."""

    @property
    def micro_batches(self) -> float:
        """Returns the time of 16 rows in passes of 4, as a multiple of one pass of 16."""
        return BUDGET / MICRO_BATCH * self.milliseconds[MICRO_BATCH] / self.milliseconds[BUDGET]

    @property
    def fixed_budget(self) -> float:
        """Returns the time of 2 rows padded to 16, as a multiple of a pass of 2."""
        return self.milliseconds[BUDGET] / self.milliseconds[2]


def measure_row_counts(threads: int, rounds: int) -> RowCounts:
    """Returns the classes of row counts and the times of a pass, the counts taking turns."""
    pipeline = load(FOLDERS["starter"], bundled_models()["starter"], threads=threads)
    assert isinstance(pipeline, Sd3Pipeline)
    here, rows = environment(), distinct_rows(pipeline, SIDE, SIDE, COUNTS[-1])
    return RowCounts(
        processor=here.processor,
        blas_mode=here.blas_mode,
        threads=threads,
        classes=_classes({count: _predict(pipeline, rows, count) for count in COUNTS}),
        exact_rows=exact_rows(pipeline, SIDE, SIDE, BUDGET),
        milliseconds=_times(pipeline, rows, rounds),
    )


@torch.inference_mode()
def _predict(pipeline: Pipeline, rows: Rows, count: int) -> torch.Tensor:
    return pipeline.predict(pick_rows(rows, list(range(count)))).clone()


def _classes(outputs: Mapping[int, torch.Tensor]) -> tuple[tuple[int, ...], ...]:
    classes: list[list[int]] = []
    for count, output in outputs.items():
        for same in classes:
            if all(torch.equal(outputs[other], output[:other]) for other in same):
                same.append(count)
                break
        else:
            classes.append([count])
    return tuple(map(tuple, classes))


def _times(pipeline: Pipeline, rows: Rows, rounds: int) -> dict[int, float]:
    seconds: dict[int, list[float]] = {count: [] for count in TIMED}
    for _ in range(rounds):
        for count, measured in seconds.items():
            started = perf_counter()
            _predict(pipeline, rows, count)
            measured.append(perf_counter() - started)
    return {count: round(1000 * median(measured), 2) for count, measured in seconds.items()}


def show_row_counts(figures: RowCounts) -> None:
    """Prints the times, the classes, and what passes of one fixed size would cost."""
    out = make_console()
    mode = figures.blas_mode or "not set"
    out.print(escape(f"{figures.processor}, MKL_CBWR {mode}, {figures.threads} threads"))
    table = Table("rows", *map(str, figures.milliseconds))
    table.add("ms a pass", *(number(value, "g") for value in figures.milliseconds.values()))
    out.print(table)
    same = "; ".join(", ".join(map(str, counts)) for counts in figures.classes)
    out.print(f"row counts with the same bits: {same}")
    proven = ", ".join(map(str, figures.exact_rows)) or "none"
    out.print(f"proven for a budget of {BUDGET}: {proven}")
    out.print(
        f"16 rows in passes of 4 take {figures.micro_batches:.2f} times one pass; 2 rows padded to "
        f"16 take {figures.fixed_budget:.2f} times a pass of 2"
    )


BENCHMARK = Benchmark(
    full=Extent(threads=1, rounds=9),
    quick=Extent(threads=1, rounds=1),
    measure=lambda extent, _: measure_row_counts(extent.threads, extent.rounds),
    show=show_row_counts,
)
