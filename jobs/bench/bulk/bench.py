"""What a bulk run costs besides generation itself: CPU time, wall time, start-up, memory.

The job runs as a user runs it, in a process and a home of its own; this process only measures.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.cli.output import make_console
from app.cli.tables import Table, number
from app.errors import BackendError
from app.store.catalog import Catalog, RunRecord
from app.types import Value
from jobs.bench.harness import Benchmark, Goal, at_most
from jobs.runtime.cluster import cores
from jobs.runtime.process_usage import ProcessUsage
from jobs.runtime.summary import RunNotes

CLASSES = (
    "shield", "potion", "gem", "coin", "heart", "star", "scroll", "mushroom", "bomb", "crown",
)  # fmt: skip
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
CPU_GOAL = 0.10
"""The most CPU time of a further image that is not generation."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Assets of the large run; a plan makes whole multiples of 80."""

    assets: int


class BulkFigures(Value):
    """One bulk run, measured from outside; CPU seconds cover every process it started."""

    images: int
    wall_seconds: float
    first_image_seconds: float
    images_per_hour: float
    cpu_seconds: float
    generation_cpu_seconds: float
    other_cpu_share: float
    """CPU time that is not generation, as a share of all, with imports, start-up and shutdown."""
    generation_wall_share: float
    """Share of wall time x workers that the generation workers spent generating."""
    peak_memory_mib: float
    """The largest sum of proportional set sizes of all processes."""


class BenchFigures(Value):
    """A small and a large run; their difference is the cost of each further image."""

    small: BulkFigures
    large: BulkFigures
    further_images_per_hour: float
    further_other_cpu_share: float
    """CPU time that is not generation, as a share of all, for every image beyond the start."""


def bench_bulk(assets: int) -> BenchFigures:
    """Makes a third of `assets` icons and then all of them, each in an empty home."""
    small, large = _run(max(assets // 3, 1)), _run(assets)
    images = large.images - small.images
    cpu = large.cpu_seconds - small.cpu_seconds
    generation = large.generation_cpu_seconds - small.generation_cpu_seconds
    seconds = large.wall_seconds - small.wall_seconds
    return BenchFigures(
        small=small,
        large=large,
        further_images_per_hour=round(images / seconds * 3600),
        further_other_cpu_share=round(1 - generation / cpu, 3),
    )


def _run(assets: int) -> BulkFigures:
    """Makes two candidates per asset, in a home of its own that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        home = Path(folder)
        plan = home / "bench.yaml"
        plan.write_text(json.dumps(bench_plan(assets)))  # JSON is YAML
        addresses = {"ATELIER_HOME": str(home), "ATELIER_STORE_URL": "", "ATELIER_CATALOG_URL": ""}
        watch = ProcessUsage(
            [sys.executable, "-m", "jobs", "bulk", str(plan), "--json"], os.environ | addresses
        )
        output = watch.run()
        if watch.exit_code not in (0, 1):
            raise BackendError(f"the job ended with {watch.exit_code}: {output}", backend="bulk")
        run_id = json.loads(output)["run_id"]
        return _figures(Catalog.open(f"sqlite:///{home / 'catalog.db'}").run(run_id), watch)


def bench_plan(assets: int) -> dict[str, object]:
    """Returns a plan of two candidates per asset over classes x colours x numbered variants."""
    variants = -(-assets // (len(CLASSES) * len(COLOURS)))
    return {
        "atelier": 1,
        "name": "bench",
        "max_assets": 1_000_000,
        "defaults": {"sizes": ["64x64", "32x32"], "candidates": 2, "attempts": 2},
        "assets": [
            {
                "name": "icon",
                "kind": "icon",
                "usage": "bench",
                "prompt": "a {colour} {item}",
                "axes": {
                    "colour": list(COLOURS),
                    "experiment": [f"v{number}" for number in range(variants)],
                    "item": list(CLASSES),
                },
            }
        ],
    }


def _figures(run: RunRecord, watch: ProcessUsage) -> BulkFigures:
    notes = RunNotes.model_validate(run.summary)
    return BulkFigures(
        images=notes.made,
        wall_seconds=round(watch.wall_seconds, 1),
        first_image_seconds=round(notes.first_image_seconds, 1),
        images_per_hour=round(notes.made / watch.wall_seconds * 3600),
        cpu_seconds=round(watch.cpu_seconds, 1),
        generation_cpu_seconds=round(notes.generation_cpu_seconds, 1),
        other_cpu_share=round(1 - notes.generation_cpu_seconds / watch.cpu_seconds, 3),
        generation_wall_share=round(notes.generation_seconds / (watch.wall_seconds * cores()), 3),
        peak_memory_mib=round(watch.peak_memory_mib),
    )


def show_bulk_figures(figures: BenchFigures) -> None:
    """Prints both runs side by side, then the cost of each further image."""
    table = Table("", "small", "large")
    for name in type(figures.small).model_fields:
        small, large = getattr(figures.small, name), getattr(figures.large, name)
        table.add(name.replace("_", " "), number(small, "g"), number(large, "g"))
    out = make_console()
    out.print(table)
    out.print(
        f"each further image: {figures.further_images_per_hour:.0f} an hour, "
        f"{figures.further_other_cpu_share:.1%} of CPU time outside generation"
    )


def _goals(figures: BenchFigures) -> Iterator[Goal]:
    share = figures.further_other_cpu_share
    yield at_most("CPU time of a further image outside generation", share, CPU_GOAL, ".1%")


BENCHMARK = Benchmark(
    full=Extent(assets=300),
    quick=Extent(assets=160),
    measure=lambda extent, _: bench_bulk(extent.assets),
    show=show_bulk_figures,
    goals=_goals,
)
