"""Comparisons of results: by axis, by machine, over the lines that both can do."""

import pytest

from app.errors import InvalidRequest
from app.registry.benchmark import (
    BenchmarkResult,
    BenchTolerance,
    Machine,
)
from jobs.model_bench.compare import against_each_other, against_last, compare
from tests.benches import DEAD, MACHINE, REFUSED, bench_of, participant_of, row_of, shot_of

BASE = row_of(
    participant_of("draft/1", shot_of(agreement=0.9, legibility=1.0), REFUSED, gpu_memory_mib=100)
)


def test_nothing_is_worse_than_itself() -> None:
    assert all(axis.holds for axis in compare(BASE, BASE, BenchTolerance()))


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"acceptance": 0.44}, ["acceptance"]),
        ({"acceptance": 0.46}, []),
        ({"acceptance": None}, ["acceptance"]),
        ({"agreement": 0.49}, ["agreement"]),
        ({"legibility": 0.94}, ["legibility"]),
        ({"failed": 1}, ["share of failed images"]),
        ({"not_applicable": 1}, ["prompts it cannot do"]),
        ({"processor_seconds": 1.1}, ["seconds alone"]),
        ({"processor_seconds": 1.04, "median_seconds": 99.0}, []),
        ({"batch_processor_seconds": 0.53}, ["seconds in a batch"]),
        ({"memory_mib": 757.0}, ["peak memory, MiB"]),
        ({"gpu_memory_mib": 357.0}, ["peak GPU memory, MiB"]),
    ],
)
def test_an_axis_that_is_worse_beyond_its_slack_is_named(
    changes: dict[str, object], broken: list[str]
) -> None:
    comparisons = compare(BASE.replace(**changes), BASE, BenchTolerance())
    assert [axis.asks for axis in comparisons if not axis.holds] == broken


def test_on_a_gpu_the_clock_counts() -> None:
    gpu = BASE.replace(machine=Machine(processor="p", device="cuda", mode="fast"))
    worse = gpu.replace(median_seconds=2.0, images_per_second=1.0, processor_seconds=9.0)
    broken = [axis.asks for axis in compare(worse, gpu, BenchTolerance()) if not axis.holds]
    assert broken == ["seconds alone", "seconds in a batch"]


def test_results_of_unlike_workloads_or_machines_are_not_held_against_each_other() -> None:
    with pytest.raises(InvalidRequest, match="measure both on one prompt file"):
        compare(BASE, BASE.replace(workload="6" * 64), BenchTolerance())
    other = Machine(processor="another", device="cpu", mode="reproducible")
    comparisons = compare(
        BASE.replace(machine=other, processor_seconds=99.0), BASE, BenchTolerance()
    )
    assert not any("seconds" in axis.asks or "memory" in axis.asks for axis in comparisons)
    assert "acceptance" in [axis.asks for axis in comparisons]


def test_two_are_compared_over_the_lines_that_both_can_do() -> None:
    able = participant_of("draft/1", shot_of(), REFUSED)
    less = participant_of("draft/2", shot_of(), refused={1: "no"})
    benchmark = against_each_other(
        bench_of(able, less), {"draft/2": "draft/1", "draft/1": "draft/1"}, BenchTolerance()
    )
    compared = {axis.asks: (axis.found, axis.other) for axis in benchmark.axes}
    assert compared["acceptance"] == ("1", "1")
    assert [axis.asks for axis in benchmark.regressions] == ["prompts it cannot do"]
    assert benchmark.notes == ("draft/1 is draft/1, with which it would be compared",)


def test_the_last_result_counts_where_there_is_one() -> None:
    now = bench_of(participant_of("draft/1", REFUSED), participant_of("final/1"), id="b-2")
    last = row_of(participant_of("draft/1", machine=MACHINE.replace(mode="fast")))
    benchmark = against_last(now, {"draft/1": last}, BenchTolerance())
    assert [axis.asks for axis in benchmark.regressions] == ["acceptance"]
    assert [note.partition(" ")[0] for note in benchmark.notes] == ["draft/1:", "final/1"]
    assert "not compared" in benchmark.notes[0]
    assert "this is the first" in benchmark.notes[1]


def test_a_benchmark_is_the_same_after_json() -> None:
    benchmark = bench_of(
        participant_of("draft/1", shot_of(legibility=0.5), REFUSED, DEAD, refused={2: "no"}),
        axes=compare(BASE, BASE, BenchTolerance()),
    )
    assert BenchmarkResult.model_validate_json(benchmark.model_dump_json()) == benchmark
