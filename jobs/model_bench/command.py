"""`atelier bench`: one command from a list of models and a prompt file to a table."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.input import option_groups
from app.cli.output import (
    FAILED,
    AsJson,
    exit_codes,
    make_console,
    print_result,
    print_results,
    say,
)
from app.errors import InvalidRequest
from app.registry.benchmark import BenchTolerance
from app.settings import Settings
from jobs.model_bench.participants import BUNDLED

if TYPE_CHECKING:
    from jobs.model_bench.bench import BenchRequest
    from jobs.model_bench.record import BenchHistory
    from jobs.model_bench.render import StoredBenchmark
    from jobs.model_bench.workload import Workload


@dataclass(frozen=True)
class WorkloadOptions:
    """The options that choose the prompts."""

    prompts: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A prompt a line, or JSON with prompt, text, size, kind, labels.",
        ),
    ] = None
    samples: Annotated[int, typer.Option(min=1, max=1000, help="Seeds for each prompt.")] = 4

    def read(self) -> "Workload":
        """Reads the prompts, or the representative ones. Raises InvalidRequest."""
        from jobs.model_bench.workload import REPRESENTATIVE, Workload, read_works

        return Workload(read_works(self.prompts or REPRESENTATIVE), self.samples)


@dataclass(frozen=True)
class ComparisonOptions:
    """The options that choose what the models are compared with."""

    against: Annotated[
        str,
        typer.Option(
            help="champion (or another alias, of each one's own name), a model, or last; "
            "exit code 1 when something is worse."
        ),
    ] = ""
    tolerance: Annotated[
        list[str] | None,
        typer.Option(help="How much worse: acceptance=0.05, seconds_share=0.3 ...; repeat."),
    ] = None

    def limits(self) -> BenchTolerance:
        """Returns the tolerance. Raises InvalidRequest for an unknown figure or no number."""
        texts = self.tolerance or []
        try:
            return BenchTolerance.model_validate(dict(text.split("=", 1) for text in texts))
        except ValueError as exc:
            raise InvalidRequest(
                f"--tolerance {' '.join(texts)} is not understood; write numbers for "
                f"{', '.join(BenchTolerance.model_fields)}, as in acceptance=0.05"
            ) from exc


@option_groups
def bench(
    models: Annotated[
        str, typer.Option(help="Bundled names, NAME/VERSION and NAME@ALIAS, by commas.")
    ] = ",".join(BUNDLED),
    workload: WorkloadOptions = WorkloadOptions(),
    comparison: ComparisonOptions = ComparisonOptions(),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Of each model at once; one, or one for each GPU.")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Only show earlier results of this workload.")
    ] = False,
    rate: Annotated[
        tuple[str, str, float] | None,
        typer.Option(
            metavar="BENCH MODEL SCORE", help="Only keep how legible people find texts, 0 to 1."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare models: time, legibility, acceptance, memory, cost; with images.

    Each model runs in turn, warm on actors of its own. Prompts that a model cannot do are listed
    and do not count; a failed image counts as not accepted. Results go to MLflow and, with a
    report, to `bench/` of the home.

    Exit codes: 0 all is well, 1 something is worse than --against allows or broke, 2 the call is
    faulty, 130 interrupted.
    """  # fmt: skip
    with exit_codes(as_json):
        from jobs.model_bench.record import BenchHistory
        from jobs.model_bench.render import show_bench, show_rated

        known = BenchHistory(Settings())
        if rate is not None:
            return print_result(known.rate(*rate), as_json, show_rated)
        if history:
            return _show_history(known, workload.read(), as_json)
        request = _request(models, workload.read(), comparison, workers)
        stored = _run(request, known)
        print_result(stored, as_json, show_bench)
        if stored.bench.regressions:
            raise typer.Exit(FAILED)


def _request(
    models: str, workload: "Workload", comparison: ComparisonOptions, workers: int | None
) -> "BenchRequest":
    from jobs.model_bench.bench import BenchRequest

    names = [name.strip() for name in models.split(",") if name.strip()]
    return BenchRequest(names, workload, comparison.against, comparison.limits(), workers)


def _run(request: "BenchRequest", known: "BenchHistory") -> "StoredBenchmark":
    from jobs.model_bench.bench import run_benchmark
    from jobs.model_bench.render import StoredBenchmark
    from jobs.runtime.progress import RunProgress

    if any(work.text for work in request.workload.works) and not _reader():
        say("no OCR is installed, so no text is accepted: pip install 'atelier[ocr]'")
    known.open()
    progress = RunProgress(make_console(stderr=True))
    benchmark, pictures = run_benchmark(request, Settings(), progress, known)
    folder = known.keep(benchmark, pictures)
    return StoredBenchmark(bench=benchmark, report=str(folder / "report.html"))


def _reader() -> bool:
    from app.check.text_readback import can_read

    return can_read("a")


def _show_history(known: "BenchHistory", workload: "Workload", as_json: bool) -> None:
    from jobs.model_bench.render import show_history

    rows = known.rows(workload.digest)
    if not rows:
        raise InvalidRequest(
            f"these {len(workload.works)} prompts with {workload.samples} samples were never "
            f"benchmarked, {known.workloads()} other workloads were; give their --prompts and "
            "--samples, or run this one"
        )
    print_results(rows, as_json, show_history)
