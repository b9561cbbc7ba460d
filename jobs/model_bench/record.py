"""The record: a benchmark's files in the home and in MLflow, its history, and what people say."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from app.digest import canonical_json
from app.errors import InvalidRequest
from app.image.png import read_png
from app.registry.benchmark import Bench, Figures
from app.registry.registry import Registry, open_registry
from app.settings import Settings
from app.sheets.bench_grid import draw_bench_grid
from app.sheets.bench_report import Pictures, bench_report
from jobs.model_bench.draw import draw_bench

_BENCH, _ROW = "bench", "benched"
"""The kinds of MLflow runs: one for the whole, with its files, and one for each model's figures."""
_FIGURES = "atelier.figures"
ID = re.compile(r"[0-9a-z-]+")
"""How benchmarks are called."""
METRICS = (
    "acceptance", "agreement", "legibility", "human_score", "median_seconds", "p95_seconds",
    "processor_seconds", "images_per_second", "memory_mib", "gpu_memory_mib", "usd_per_1000",
    "usd_per_accepted", "images", "failed", "accepted", "not_applicable",
)  # fmt: skip


class History:
    """What benchmarks are known; the registry is opened when somebody asks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _registry(self) -> Registry:
        return open_registry(self._settings)

    def open(self) -> None:
        """Raise RegistryError now rather than after the work."""
        assert self._registry

    def rows(self, workload: str) -> list[Figures]:
        """Every row of a workload, the newest first. Raises RegistryError."""
        kept = self._registry.kept(_ROW, workload=workload)
        return [Figures.model_validate_json(tags[_FIGURES]) for tags in kept.values()]

    def newest(self, workload: str) -> dict[str, Figures]:
        """The newest row of a workload by the name that was written for the model."""
        return {row.named: row for row in reversed(self.rows(workload))}

    def workloads(self) -> int:
        """How many different workloads were ever benchmarked."""
        return len({tags["workload"] for tags in self._registry.kept(_ROW).values()})

    def keep(self, found: Bench, pictures: Mapping[str, Mapping[tuple[int, int], bytes]]) -> Path:
        """Write the files below the home, and all of it to MLflow; the folder."""
        folder = self.folder(found.id)
        for reference, shown in pictures.items():
            for (work, seed), png in shown.items():
                file = _file(folder, reference, work, seed)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(png)
        files = self._written(found)
        registry = self._registry
        run = registry.keep(
            _BENCH,
            f"bench {found.id}",
            tags={"bench": found.id, "workload": found.workload},
            params=_params(found),
            files=files,
        )
        for row in found.figures:
            registry.keep(
                _ROW,
                f"{row.named} in {found.id}",
                tags=_tags(row) | {"mlflow.parentRunId": run},
                params=_params(found) | {"model": row.reference, "machine": str(row.machine)},
                metrics=_metrics(row),
            )
        return folder

    def folder(self, bench: str) -> Path:
        """Where the files of a benchmark stand in this home."""
        return self._settings.home / "bench" / bench

    def rate(self, bench: str, model: str, score: float) -> Figures:
        """Keep how legible people find a model's texts, beside what OCR says; the last word counts.

        Raises InvalidRequest when there is no such benchmark or model.
        """
        if not 0 <= score <= 1:
            raise InvalidRequest(f"{score:g} is no score; write a share from 0 to 1, 0.9 say")
        registry = self._registry
        found = registry.kept(_ROW, bench=bench) if ID.fullmatch(bench) else {}
        kept = {run: Figures.model_validate_json(tags[_FIGURES]) for run, tags in found.items()}
        rated = {run: row for run, row in kept.items() if model in (row.named, row.reference)}
        if not rated:
            known = ", ".join(row.named for row in kept.values())
            raise InvalidRequest(
                f"{model} did not take part in {bench}; did: {known}"
                if kept
                else f"no benchmark {bench!r} is recorded; see python -m jobs bench --history"
            )
        ((run, row),) = rated.items()
        row = row.replace(human_score=score)
        registry.amend(run, tags=_tags(row), metrics={"human_score": score})
        self._rewrite(registry, row)
        return row

    def _rewrite(self, registry: Registry, row: Figures) -> None:
        """The files again with the new score, where they stand in this home."""
        file = self.folder(row.bench) / "bench.json"
        if not file.is_file():
            return
        found = Bench.model_validate_json(file.read_bytes())
        figures = [row if one.reference == row.reference else one for one in found.figures]
        files = self._written(found.replace(figures=figures))
        for run in registry.kept(_BENCH, bench=row.bench):
            registry.amend(run, files=files)

    def _written(self, found: Bench) -> dict[str, bytes]:
        """The figures before the pictures of them: what was measured is not lost to a drawing."""
        folder = self.folder(found.id)
        folder.mkdir(parents=True, exist_ok=True)
        pictures = _pictures(folder, found)
        makers: dict[str, Callable[[], bytes]] = {
            "bench.json": lambda: canonical_json(found.as_json()),
            "report.html": lambda: bench_report(found, pictures).encode(),
            "grid.png": lambda: draw_bench_grid(found, pictures),
            "chart.png": lambda: draw_bench(found),
        }
        for name, made in makers.items():
            (folder / name).write_bytes(made())
        return {name: (folder / name).read_bytes() for name in makers}


def _pictures(folder: Path, found: Bench) -> Pictures:
    """By reference, line and seed."""
    return {
        one.reference: {
            (shot.work, shot.seed): read_png(file.read_bytes())
            for shot in one.shots
            for file in [_file(folder, one.reference, shot.work, shot.seed)]
            if file.is_file()
        }
        for one in found.entrants
    }


def _file(folder: Path, reference: str, work: int, seed: int) -> Path:
    return folder / "pictures" / reference.replace("/", "-") / f"{work:03d}-{seed}.png"


def _tags(row: Figures) -> dict[str, str]:
    return {
        "bench": row.bench,
        "workload": row.workload,
        "version": row.reference,
        _FIGURES: canonical_json(row.as_json()).decode(),
    }


def _params(found: Bench) -> dict[str, str]:
    return {
        "models": ",".join(one.named for one in found.entrants),
        "prompts": str(len(found.works)),
        "samples": str(found.samples),
        "workload": found.workload,
        "against": found.against or "nothing",
    }


def _metrics(row: Figures) -> dict[str, float]:
    """Those that were measured, and how often each rule spoke."""
    known = {name: getattr(row, name) for name in METRICS}
    spoke = {f"spoke.{name}": float(times) for name, times in row.complaints.items()}
    return {name: float(value) for name, value in known.items() if value is not None} | spoke


def shown_rows(rows: Sequence[Figures]) -> list[tuple[Figures, Figures | None]]:
    """The oldest first, each with the one before it of the same name."""
    last: dict[str, Figures] = {}
    pairs = []
    for row in sorted(rows, key=lambda row: row.bench):
        pairs.append((row, last.get(row.named)))
        last[row.named] = row
    return pairs
