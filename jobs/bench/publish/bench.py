"""What the store costs: rows per second and the driver's memory from thousands to millions.

The echo renders, so that nearly all of the time is plan -> claim -> publish; each size runs in a
process and a home of its own that is deleted afterwards.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from app.backends.echo import EchoBackend
from app.cli.output import Say, make_console
from app.cli.tables import Table, number
from app.errors import BackendError
from app.generate.generate import Generator
from app.models.bundled import ECHO
from app.store.publish import claim, open_store, release
from app.types import GenerationRequest, Route, Value
from jobs.bench.harness import Benchmark, Goal, at_most
from jobs.generate_only import Generation
from jobs.runtime.batches import REQUESTS_PER_BATCH
from jobs.runtime.process_usage import ProcessUsage

SHARE_BATCHES = 32
MEMORY_FOLDER = Path("/dev/shm")
GROWTH_GOAL = 1.2
"""The most CPU time a row of the largest size, as a multiple of the smallest size's."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The sizes of the plans, in rows."""

    rows: Sequence[int]


class PublishRun(Value):
    """One size: the run's own report, and its process tree's CPU time per row.

    Where other programs run beside it, they change the rate; they hardly change the CPU time.
    """

    generation: Generation
    cpu_ms: float


class PublishFigures(Value):
    """The runs by size, and the cost of safety per image, in milliseconds."""

    runs: tuple[PublishRun, ...]
    lease_ms: float
    """Claiming and releasing, in micro-batches as the generate stage claims."""
    publish_ms: float
    """Rendering, encoding and publishing one batch after the other, in one process, per image."""
    publish_without_disk_ms: float | None
    """The same on a file system in memory, where a sync costs nothing; None without one."""


def bench_publish(sizes: Sequence[int], say: Say) -> PublishFigures:
    """Runs every size once and the costs once. Raises BackendError when a run fails."""
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        lease_ms = _measure_lease_ms(Path(folder))
        publish_ms = _measure_publish_ms(Path(folder) / "disk")
    return PublishFigures(
        lease_ms=lease_ms,
        publish_ms=publish_ms,
        publish_without_disk_ms=_in_memory(),
        runs=tuple(_run(size, say) for size in sizes),
    )


def _in_memory() -> float | None:
    if not os.access(MEMORY_FOLDER, os.W_OK):
        return None
    with tempfile.TemporaryDirectory(prefix="atelier-bench-", dir=MEMORY_FOLDER) as folder:
        return _measure_publish_ms(Path(folder))


def _measure_lease_ms(folder: Path) -> float:
    store = open_store((folder / "l").as_uri(), f"sqlite:///{folder / 'leases.db'}")
    keys = [f"{number:064x}" for number in range(SHARE_BATCHES * REQUESTS_PER_BATCH)]
    started = perf_counter()
    for start in range(0, len(keys), REQUESTS_PER_BATCH):
        piece = keys[start : start + REQUESTS_PER_BATCH]
        claim(store, piece, owner="bench", seconds=60)
        release(store, piece, owner="bench")
    return round((perf_counter() - started) / len(keys) * 1000, 3)


def _measure_publish_ms(folder: Path) -> float:
    folder.mkdir(parents=True, exist_ok=True)
    store = open_store((folder / "blobs").as_uri(), f"sqlite:///{folder / 'catalog.db'}")
    route = Route(backend="echo", model=ECHO, reason="the benchmark names it")
    generator = Generator(route, EchoBackend(), store, "bench")
    total = SHARE_BATCHES * REQUESTS_PER_BATCH
    requests = [_request(number) for number in range(total)]
    started = perf_counter()
    for start in range(0, total, REQUESTS_PER_BATCH):
        generator.generate(requests[start : start + REQUESTS_PER_BATCH])
    return round((perf_counter() - started) / total * 1000, 3)


def _request(number: int) -> GenerationRequest:
    return GenerationRequest(
        prompt=f"card {number}", width=64, height=64, num_inference_steps=1, guidance_scale=0
    )


def _run(size: int, say: Say) -> PublishRun:
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        plan = Path(folder) / "plan.yaml"
        plan.write_text(json.dumps(echo_plan(size)))  # JSON is YAML
        places = {"ATELIER_HOME": folder, "ATELIER_STORE_URL": "", "ATELIER_CATALOG_URL": ""}
        watch = ProcessUsage(
            [
                *(sys.executable, "-m", "jobs.commands", "generate"),
                *(str(plan), "--allow-large", "--json"),
            ],
            os.environ | places,
        )
        summary = watch.run()
    if watch.exit_code:
        raise BackendError(f"{size} rows ended with {watch.exit_code}: {summary}", backend="bulk")
    generation = Generation.model_validate_json(summary)
    say(f"{size} rows: {generation.images_per_second} a second")
    cpu_ms = round(watch.cpu_seconds / generation.asked * 1000, 3)
    return PublishRun(generation=generation, cpu_ms=cpu_ms)


def echo_plan(size: int) -> dict[str, object]:
    """Returns a plan of `size` images, rounded up to whole thousands above the first thousand."""
    numbers, thousands = min(size, 1000), -(-size // 1000)
    return {
        "atelier": 1,
        "name": "cards",
        "model": "echo",
        "max_assets": 10_000_000,
        "defaults": {"sizes": ["64x64"], "candidates": 1, "attempts": 1},
        "assets": [
            {
                "name": "card",
                "kind": "icon",
                "prompt": "card {number} {thousand}",
                "axes": {
                    "number": [f"n{number}" for number in range(numbers)],
                    "thousand": [f"t{number}" for number in range(thousands)],
                },
            }
        ],
    }


def show_publish_figures(figures: PublishFigures) -> None:
    """Prints one row per size, then the cost of safety per image."""
    table = Table("rows", "a second", "seconds", "CPU ms a row", "driver MiB")
    for run in figures.runs:
        generation = run.generation
        table.add(
            generation.asked, number(generation.images_per_second, "g"),
            number(generation.seconds, ".0f"), number(run.cpu_ms, "g"),
            number(generation.driver_memory_mib, ".0f"),
        )  # fmt: skip
    out = make_console()
    out.print(table)
    out.print(
        f"each image: leases {figures.lease_ms:g} ms, all of it {figures.publish_ms:g} ms in one "
        f"process, {_or_unknown(figures.publish_without_disk_ms)} where syncs cost nothing"
    )


def _or_unknown(milliseconds: float | None) -> str:
    return "unknown" if milliseconds is None else f"{milliseconds:g} ms"


def _goals(figures: PublishFigures) -> Iterator[Goal]:
    if len(figures.runs) > 1:
        by_size = sorted(figures.runs, key=lambda run: run.generation.asked)
        growth = by_size[-1].cpu_ms / by_size[0].cpu_ms
        yield at_most("CPU time a row, the largest size over the smallest", growth, GROWTH_GOAL)


BENCHMARK = Benchmark(
    full=Extent(rows=(10_000, 100_000)),
    quick=Extent(rows=(1000,)),
    measure=lambda extent, say: bench_publish(extent.rows, say),
    show=show_publish_figures,
    goals=_goals,
)
