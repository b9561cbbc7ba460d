"""`python -m jobs dev bench-shares`: teams, previews and models that share an engine and a run."""

from typing import Annotated

import typer
from rich.console import Console

from app.cli.output import AsJson, exit_codes, print_result


def shares_command(
    virtual: Annotated[bool, typer.Option("--virtual", help="Leave the real model out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the shares of teams by weight, the wait of previews under bulk, and model loads.

    In virtual time, so the figures are the same everywhere; then the starter for real, a minute or
    two of CPU time, which other work on the machine changes little. Missed goals are named.
    """
    from jobs.bench.shares.bench import bench_shares
    from jobs.bench.shares.render import show_shares_figures

    with exit_codes(as_json):
        say = Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print
        figures = bench_shares(say, rounds=0) if virtual else bench_shares(say)
        print_result(figures, as_json, show_shares_figures)
