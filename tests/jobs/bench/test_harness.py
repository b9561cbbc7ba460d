"""What all benchmarks share: quick extents, options, goals, and exit codes."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner, Result

from app.types import Value
from jobs.bench.commands import dev
from jobs.bench.harness import AnyBenchmark, Benchmark, Goal, at_least, at_most, benchmark_command

RUN = CliRunner()
COMMANDS: dict[str, Any] = get_command(dev).commands  # type: ignore[attr-defined]
BENCHES = sorted(name for name in COMMANDS if name.startswith("bench-"))


class Figures(Value):
    rounds: int


@dataclass(frozen=True, slots=True)
class Extent:
    rounds: int


def bench(*, limit: float = 1, required: bool = False) -> AnyBenchmark:
    def goals(figures: Figures) -> Iterator[Goal]:
        yield at_least("rounds", figures.rounds, limit, ".0f")
        yield Goal("all is well", figures.rounds >= limit, required)

    def draw(figures: Figures, file: Path) -> None:
        file.write_text(str(figures.rounds))

    def measure(extent: Extent, say: Callable[[str], None]) -> Figures:
        say("measuring [bold]")
        return Figures(rounds=extent.rounds)

    return Benchmark(
        full=Extent(7), quick=Extent(2), measure=measure,
        show=lambda figures: print("rounds", figures.rounds), goals=goals, draw=draw,
    )  # fmt: skip


def called(
    *arguments: str, charts: bool = False, made: Callable[[], AnyBenchmark] = bench
) -> Result:
    @benchmark_command(charts=charts)
    def measure(rounds: int | None = None) -> AnyBenchmark:
        """Measure a few rounds."""
        return made().given(rounds=rounds)

    app = typer.Typer()
    app.command()(measure)
    return RUN.invoke(app, arguments)


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """The handler of SIGTERM is put back: a benchmark changes it for its process."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("name", BENCHES)
def test_every_benchmark_has_a_quick_extent_and_json(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert {"--quick", "--json"} <= options


def test_those_that_draw_have_a_chart() -> None:
    drawing = [
        name for name in BENCHES if any("--chart" in each.opts for each in COMMANDS[name].params)
    ]
    assert drawing == ["bench-checks", "bench-routing", "bench-serve"]


def test_the_quick_extent_and_an_option_change_what_is_measured() -> None:
    assert "rounds 7\n" in called().stdout
    assert "rounds 2\n" in called("--quick").stdout
    assert "rounds 3\n" in called("--quick", "--rounds", "3").stdout
    assert "Measure a few rounds" in called("--help").stdout


def test_json_is_one_document_and_progress_goes_to_stderr() -> None:
    result = called("--json")
    assert json.loads(result.stdout) == {"rounds": 7}
    assert result.stderr == "measuring [bold]\n"


def test_a_chart_is_drawn_where_one_was_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "chart.png"
    assert called("--chart", str(file), charts=True).exit_code == 0
    assert file.read_text() == "7"
    assert called("--chart", str(file)).exit_code == 2


@pytest.mark.parametrize("required", [False, True])
def test_missed_goals_are_named_and_fail_only_where_they_are_required(required: bool) -> None:
    result = called(made=lambda: bench(limit=9, required=required))
    assert "missed: rounds: 7, at least 9 wanted\nmissed: all is well\n" in result.stdout
    assert result.exit_code == int(required)
    quiet = called("--json", made=lambda: bench(limit=9, required=required))
    assert (quiet.exit_code, json.loads(quiet.stdout)) == (int(required), {"rounds": 7})


def test_that_every_goal_is_met_is_said() -> None:
    assert called().stdout.endswith("every goal is met\n")


def test_a_figure_at_its_limit_meets_the_goal() -> None:
    assert at_least("x", 0.5, 0.5).met
    assert at_most("x", 0.5, 0.5).met
    assert not at_most("x", 0.51, 0.5).met
    assert at_most("x", 0.51, 0.5, ".0%").text == "x: 51%, at most 50% wanted"
