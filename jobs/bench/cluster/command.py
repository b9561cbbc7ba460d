"""`python -m jobs dev bench-cluster`: the crash tests of the elastic cluster, and what it costs."""

import signal
from typing import Annotated

import typer
from rich.console import Console

from app.cli.output import FAILED, AsJson, exit_codes, print_result
from app.errors import InvalidRequest


def bench_cluster(
    section: Annotated[
        list[str] | None,
        typer.Option(help="One of those below; repeat for more."),
    ] = None,
    quick: Annotated[bool, typer.Option(help="Little of everything, to try it out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Kill, drain, add and remove machines under runs, and count what must never happen.

    The machines are Ray's own nodes as processes of this one, and an image is a fixed sleep in
    place of a GPU's time. scaling runs a plan on 1, 2, 4 and 8 of them; kills and drains hit 20
    each under 400 images; widths compares every byte made on 1, 2 and 3; siege removes all CPUs
    while images are made; pool lets Ray's autoscaler add machines and remove them; schedule raises
    their minimum ahead of a spike; replicas scales a role of the service from none to several and
    back; exposure calls every socket of a cluster without its token. Takes most of an hour on two
    cores; another Ray on this machine is left alone.

    Exit codes: 0 nothing broke, 1 a counter that must be 0 is not.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what it started ends with it
    with exit_codes(as_json):
        from jobs.bench.cluster.bench import FULL, QUICK, Section
        from jobs.bench.cluster.bench import bench_cluster as bench
        from jobs.bench.cluster.render import show_cluster_figures

        known = [section.value for section in Section]
        if unknown := sorted(set(section or []) - set(known)):
            raise InvalidRequest(f"no section {', '.join(unknown)}; use {', '.join(known)}")
        say = Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print
        figures = bench([Section(name) for name in section or known], QUICK if quick else FULL, say)
        print_result(figures, as_json, show_cluster_figures)
    raise typer.Exit(0 if figures.holds else FAILED)
