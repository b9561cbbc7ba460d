"""`python -m jobs dev make-defects` and `bench-checks`: the test bed of the checks."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.cli.output import FAILED, AsJson, exit_codes, print_result
from app.errors import InvalidRequest
from jobs.train.defects.sources import WorldPart
from jobs.train.defects.world import WorldExtent

Seed = Annotated[int, typer.Option(min=0, max=99, help="Which of the hundred worlds.")]
PartOf = Annotated[
    WorldPart, typer.Option(help="Whose seeds: what is learned from one is measured on the other.")
]
Painted = Annotated[
    bool, typer.Option("--painted/--drawn", help="With the starter's pictures, or only drawn ones.")
]


def make_defects_command(
    out: Annotated[Path, typer.Option(file_okay=False, help="A new folder.")],
    count: Annotated[
        int, typer.Option(min=1, max=1000, help="Pictures of each class and severity.")
    ] = 10,
    controls: Annotated[int, typer.Option(min=0, max=50_000, help="Untouched drawings.")] = 100,
    seed: Seed = 0,
    part: PartOf = WorldPart.EVALUATION,
    image: Painted = True,
    as_json: AsJson = False,
) -> None:
    """Make images with every named defect at three severities, with untouched controls.

    Each file has a line in `manifest.jsonl`: the defect, its severity, what it was made from and
    which measure should find it. The same options write the same bytes.
    """
    with exit_codes(as_json):
        from jobs.bench.checks.render import show_written
        from jobs.train.defects.make_defects import make_defects

        extent = WorldExtent(count, controls, seed, part, painted=image)
        print_result(make_defects(out, extent), as_json, show_written)


def bench_checks_command(
    quick: Annotated[bool, typer.Option(help="Little of everything, to try it out.")] = False,
    count: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Pictures of each class and severity.")
    ] = None,
    controls: Annotated[
        int | None, typer.Option(min=1, max=50_000, help="Untouched drawings.")
    ] = None,
    seed: Seed = 0,
    part: PartOf = WorldPart.EVALUATION,
    image: Painted = True,
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="For figures.json, a chart and a sheet to look at."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the checks on a set of defects: what is found, false alarms, and the cost of each
    check.

    Costs are CPU time of one thread, so other work on the machine changes them little.

    Exit codes: 0 all is well, 1 a deterministic defect was missed or a clean drawing refused.
    """
    with exit_codes(as_json):
        from dataclasses import replace

        from jobs.bench.checks.bench import FULL, QUICK, bench_checks
        from jobs.bench.checks.render import draw_chart, draw_sheet, show_check_figures

        if out is not None and out.exists() and any(out.iterdir()):
            raise InvalidRequest(f"{out} is not empty; give a new folder, or empty this one")
        extent = QUICK if quick else FULL
        extent = replace(
            extent, count=count or extent.count, controls=controls or extent.controls, number=seed,
            part=part, painted=image,
        )  # fmt: skip
        say = Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print
        figures, shown = bench_checks(extent, say)
        print_result(figures, as_json, show_check_figures)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / "figures.json").write_text(json.dumps(figures.as_json(), indent=1), "utf-8")
            draw_chart(figures, out / "chart.png")
            draw_sheet(shown, out / "sheet.png")
    if not figures.passes:
        raise typer.Exit(FAILED)
