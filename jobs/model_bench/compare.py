"""Compares a model's figures with another's, axis by axis; pure."""

from collections.abc import Iterator, Mapping

from app.errors import InvalidRequest
from app.registry.benchmark import (
    AxisComparison,
    BenchmarkResult,
    BenchTolerance,
    ModelFigures,
    Participant,
)
from jobs.model_bench.aggregate import figures_of

CLOCK_SECONDS = 0.002
"""Below this, times depend more on the machine's other programs than on a model."""


def against_each_other(
    benchmark: BenchmarkResult, pairs: Mapping[str, str], tolerance: BenchTolerance
) -> BenchmarkResult:
    """Returns the benchmark with each reference compared with its pair, over lines both can do."""
    by_reference = {participant.reference: participant for participant in benchmark.entrants}
    axes: list[AxisComparison] = []
    notes: list[str] = []
    for reference, other in pairs.items():
        participant = by_reference[reference]
        if reference == other:
            notes.append(f"{participant.named} is {reference}, with which it would be compared")
            continue
        mine, theirs = _comparable_rows(benchmark, participant, by_reference[other])
        axes += compare(mine, theirs, tolerance)
    return benchmark.replace(axes=tuple(axes), notes=tuple(notes))


def _comparable_rows(
    benchmark: BenchmarkResult, participant: Participant, other: Participant
) -> Iterator[ModelFigures]:
    """Yields both rows over the common lines; `not_applicable` still counts every line."""
    common = set(range(len(benchmark.works))) - set(participant.refused) - set(other.refused)
    for each in (participant, other):
        yield figures_of(benchmark, each, common).replace(not_applicable=len(each.refused))


def against_last(
    benchmark: BenchmarkResult, earlier: Mapping[str, ModelFigures], tolerance: BenchTolerance
) -> BenchmarkResult:
    """Returns the benchmark with each model compared with the earlier row of its name, if any."""
    axes: list[AxisComparison] = []
    notes: list[str] = []
    for figure in benchmark.figures:
        last = earlier.get(figure.named)
        if last is None:
            notes.append(
                f"{figure.named} has no earlier result of this workload: this is the first"
            )
            continue
        axes += compare(figure, last, tolerance)
        if last.machine != figure.machine:
            notes.append(
                f"{figure.named}: times and memory are not compared, {last.bench} ran on "
                f"{last.machine}, this one on {figure.machine}"
            )
    return benchmark.replace(axes=tuple(axes), notes=tuple(notes))


def compare(
    ours: ModelFigures, other: ModelFigures, tolerance: BenchTolerance
) -> tuple[AxisComparison, ...]:
    """Returns every axis on which both were measured; times and memory only on equal machines.

    Raises InvalidRequest for results of different workloads, which cannot be compared.
    """
    if ours.workload != other.workload:
        raise InvalidRequest(
            f"{ours.named} was measured on the workload {ours.workload[:12]}, {other.named} on "
            f"{other.workload[:12]}; measure both on one prompt file with the same samples"
        )
    against = other.named if other.bench == ours.bench else f"{other.named} of {other.bench}"
    return tuple(
        AxisComparison(
            model=ours.named,
            against=against,
            asks=asks,
            found=f"{mine:.4g}",
            other=f"{theirs:.4g}",
            limit=f"{'>=' if more else '<='} {limit:.4g}",
            holds=mine >= limit if more else mine <= limit,
        )
        for asks, mine, theirs, limit, more in _rows(ours, other, tolerance)
    )


_Row = tuple[str, float, float, float, bool]
"""The axis, the two figures, the limit, and whether more is better."""


def _rows(ours: ModelFigures, other: ModelFigures, tolerance: BenchTolerance) -> Iterator[_Row]:
    yield (
        "prompts it cannot do", ours.not_applicable, other.not_applicable,
        other.not_applicable, False,
    )  # fmt: skip
    share = ours.failed / max(ours.images, 1), other.failed / max(other.images, 1)
    yield "share of failed images", *share, share[1], False
    shares = ("acceptance", tolerance.acceptance), ("agreement", tolerance.agreement)
    for name, less in (*shares, ("legibility", tolerance.legibility)):
        mine, theirs = getattr(ours, name), getattr(other, name)
        if theirs is not None:  # what the other had and this one lacks counts as 0
            yield name, mine or 0.0, theirs, theirs - less, True
    if ours.machine == other.machine:
        yield from _resources(ours, other, tolerance)


def _resources(
    ours: ModelFigures, other: ModelFigures, tolerance: BenchTolerance
) -> Iterator[_Row]:
    """Yields wall time on a GPU, CPU time on a CPU, which other programs hardly change."""
    timed = _seconds(ours), _seconds(other)
    for name, mine, theirs in zip(("seconds alone", "seconds in a batch"), *timed, strict=True):
        if mine is not None and theirs is not None:
            limit = theirs * (1 + tolerance.seconds_share) + CLOCK_SECONDS
            yield name, mine, theirs, limit, False
    memory = "peak memory, MiB", ours.memory_mib, other.memory_mib
    yield *memory, other.memory_mib + tolerance.memory_mib, False
    if ours.gpu_memory_mib is not None and other.gpu_memory_mib is not None:
        limit = other.gpu_memory_mib + tolerance.memory_mib
        yield "peak GPU memory, MiB", ours.gpu_memory_mib, other.gpu_memory_mib, limit, False


def _seconds(figures: ModelFigures) -> tuple[float | None, float | None]:
    if figures.machine.device.startswith("cuda"):
        pace = figures.images_per_second
        return figures.median_seconds, 1 / pace if pace else None
    return figures.processor_seconds, figures.batch_processor_seconds
