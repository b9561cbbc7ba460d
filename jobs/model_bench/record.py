"""The record of benchmarks: files in the home and in MLflow, the history, and people's scores."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from app.digest import canonical_json
from app.errors import InvalidRequest
from app.image.png import read_png
from app.registry.benchmark import BenchmarkResult, ModelFigures
from app.registry.registry import Registry, open_registry
from app.settings import Settings
from app.sheets.bench_grid import draw_bench_grid
from app.sheets.bench_report import Pictures, bench_report
from jobs.model_bench.draw import draw_bench

_BENCH, _ROW = "bench", "benched"
"""The kinds of MLflow runs: one for the whole benchmark, with its files, and one for each model."""
_FIGURES = "atelier.figures"
ID = re.compile(r"[0-9a-z-]+")
"""The form of a benchmark's id."""
METRICS = (
    "acceptance", "agreement", "legibility", "human_score", "median_seconds", "p95_seconds",
    "processor_seconds", "images_per_second", "memory_mib", "gpu_memory_mib", "usd_per_1000",
    "usd_per_accepted", "images", "failed", "accepted", "not_applicable",
)  # fmt: skip


class BenchHistory:
    """The recorded benchmarks; the registry is opened on first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _registry(self) -> Registry:
        return open_registry(self._settings)

    def open(self) -> None:
        """Raises RegistryError now rather than after the work."""
        assert self._registry

    def rows(self, workload: str) -> list[ModelFigures]:
        """Returns every row of a workload, the newest first. Raises RegistryError."""
        kept = self._registry.tagged_runs(_ROW, workload=workload)
        return [ModelFigures.model_validate_json(tags[_FIGURES]) for tags in kept.values()]

    def newest(self, workload: str) -> dict[str, ModelFigures]:
        """Returns the newest row of a workload by the name that was given for the model."""
        return {row.named: row for row in reversed(self.rows(workload))}

    def workloads(self) -> int:
        """Returns how many different workloads were ever benchmarked."""
        return len({tags["workload"] for tags in self._registry.tagged_runs(_ROW).values()})

    def keep(
        self, benchmark: BenchmarkResult, pictures: Mapping[str, Mapping[tuple[int, int], bytes]]
    ) -> Path:
        """Writes the files below the home and everything to MLflow; returns the folder."""
        folder = self.folder(benchmark.id)
        for reference, shown in pictures.items():
            for (work, seed), png in shown.items():
                file = _file(folder, reference, work, seed)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(png)
        files = self._written(benchmark)
        registry = self._registry
        run = registry.save_run(
            _BENCH,
            f"bench {benchmark.id}",
            tags={"bench": benchmark.id, "workload": benchmark.workload},
            params=_params(benchmark),
            files=files,
        )
        for row in benchmark.figures:
            registry.save_run(
                _ROW,
                f"{row.named} in {benchmark.id}",
                tags=_tags(row) | {"mlflow.parentRunId": run},
                params=_params(benchmark) | {"model": row.reference, "machine": str(row.machine)},
                metrics=_metrics(row),
            )
        return folder

    def folder(self, bench: str) -> Path:
        """Returns the folder of a benchmark's files in this home."""
        return self._settings.home / "bench" / bench

    def rate(self, bench: str, model: str, score: float) -> ModelFigures:
        """Records people's score of a model's text, beside that of OCR; the last score counts.

        Raises InvalidRequest when there is no such benchmark or model.
        """
        if not 0 <= score <= 1:
            raise InvalidRequest(f"{score:g} is no score; write a share from 0 to 1, 0.9 say")
        registry = self._registry
        rows = registry.tagged_runs(_ROW, bench=bench) if ID.fullmatch(bench) else {}
        kept = {run: ModelFigures.model_validate_json(tags[_FIGURES]) for run, tags in rows.items()}
        rated = {run: row for run, row in kept.items() if model in (row.named, row.reference)}
        if not rated:
            known = ", ".join(row.named for row in kept.values())
            raise InvalidRequest(
                f"{model} did not take part in {bench}; did: {known}"
                if kept
                else f"no benchmark {bench!r} is recorded; see atelier bench --history"
            )
        ((run, row),) = rated.items()
        row = row.replace(human_score=score)
        registry.amend(run, tags=_tags(row), metrics={"human_score": score})
        self._rewrite(registry, row)
        return row

    def _rewrite(self, registry: Registry, row: ModelFigures) -> None:
        """Writes the files again with the new score, where they exist in this home."""
        file = self.folder(row.bench) / "bench.json"
        if not file.is_file():
            return
        benchmark = BenchmarkResult.model_validate_json(file.read_bytes())
        figures = [
            row if figure.reference == row.reference else figure for figure in benchmark.figures
        ]
        files = self._written(benchmark.replace(figures=figures))
        for run in registry.tagged_runs(_BENCH, bench=row.bench):
            registry.amend(run, files=files)

    def _written(self, benchmark: BenchmarkResult) -> dict[str, bytes]:
        """Writes the figures before the charts, so that a failed chart loses no measurement."""
        folder = self.folder(benchmark.id)
        folder.mkdir(parents=True, exist_ok=True)
        pictures = _pictures(folder, benchmark)
        makers: dict[str, Callable[[], bytes]] = {
            "bench.json": lambda: canonical_json(benchmark.as_json()),
            "report.html": lambda: bench_report(benchmark, pictures).encode(),
            "grid.png": lambda: draw_bench_grid(benchmark, pictures),
            "chart.png": lambda: draw_bench(benchmark),
        }
        for name, made in makers.items():
            (folder / name).write_bytes(made())
        return {name: (folder / name).read_bytes() for name in makers}


def _pictures(folder: Path, benchmark: BenchmarkResult) -> Pictures:
    """Returns the images by reference, line and seed."""
    return {
        participant.reference: {
            (shot.work, shot.seed): read_png(file.read_bytes())
            for shot in participant.shots
            for file in [_file(folder, participant.reference, shot.work, shot.seed)]
            if file.is_file()
        }
        for participant in benchmark.entrants
    }


def _file(folder: Path, reference: str, work: int, seed: int) -> Path:
    return folder / "pictures" / reference.replace("/", "-") / f"{work:03d}-{seed}.png"


def _tags(row: ModelFigures) -> dict[str, str]:
    return {
        "bench": row.bench,
        "workload": row.workload,
        "version": row.reference,
        _FIGURES: canonical_json(row.as_json()).decode(),
    }


def _params(benchmark: BenchmarkResult) -> dict[str, str]:
    return {
        "models": ",".join(participant.named for participant in benchmark.entrants),
        "prompts": str(len(benchmark.works)),
        "samples": str(benchmark.samples),
        "workload": benchmark.workload,
        "against": benchmark.against or "nothing",
    }


def _metrics(row: ModelFigures) -> dict[str, float]:
    """Returns the metrics that were measured, and how often each rule failed."""
    known = {name: getattr(row, name) for name in METRICS}
    spoke = {f"spoke.{name}": float(times) for name, times in row.complaints.items()}
    return {name: float(value) for name, value in known.items() if value is not None} | spoke


def shown_rows(rows: Sequence[ModelFigures]) -> list[tuple[ModelFigures, ModelFigures | None]]:
    """Returns the rows, oldest first, each with the previous row of the same name."""
    last: dict[str, ModelFigures] = {}
    pairs = []
    for row in sorted(rows, key=lambda row: row.bench):
        pairs.append((row, last.get(row.named)))
        last[row.named] = row
    return pairs
