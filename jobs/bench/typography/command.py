"""The command `bench-typography`: its options and its output."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.cli.output import FAILED, AsJson, exit_codes, make_console, print_result


def bench_typography_command(
    count: Annotated[int, typer.Option(min=1, max=100, help="The first so many texts.")] = 100,
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="For the pictures that were misread.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let the starter draw a hundred texts, and the typography role set them; read both by OCR.

    Some minutes on one core. Exit codes: 0 all is well, 1 set text is misread, plain print is not.
    """
    from jobs.bench.typography.bench import SET, TypographyFigures, bench_typography, lines, texts

    def show(figures: TypographyFigures) -> None:
        for line in lines(figures):
            make_console().print(line, markup=False)

    with exit_codes(as_json):
        say = Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print
        figures = bench_typography(texts()[:count], say, keep=out)
        print_result(figures, as_json, show)
    if figures.of(SET).own_misses:
        raise typer.Exit(FAILED)
