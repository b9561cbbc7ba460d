"""The command `bench-refine`: its options and its output."""

from typing import Annotated

import typer
from rich.console import Console

from app.cli.output import AsJson, exit_codes, print_result


def bench_refine_command(
    quick: Annotated[bool, typer.Option(help="Little of everything, to try it out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try failed assets again by the next seed and with a reason; count attempts per accepted
    asset.

    Plans with poor settings and a weakened model are made in this process; which changes help is
    learned from one set of assets and tested on another. Some minutes on one core.
    """
    from jobs.bench.refine.bench import FULL, QUICK, bench_refine
    from jobs.bench.refine.render import show_refine_figures

    with exit_codes(as_json):
        say = Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print
        print_result(bench_refine(QUICK if quick else FULL, say), as_json, show_refine_figures)
