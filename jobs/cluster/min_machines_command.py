"""`atelier floor FILE`: keeps machines ready before a known spike."""

import os
import signal
import sys
from pathlib import Path
from threading import Event
from time import time
from typing import Annotated

import typer

from app.cli.output import exit_codes
from app.errors import InvalidRequest

POLL_SECONDS = 1.0


def floor_command(
    file: Annotated[
        Path,
        typer.Argument(help="The windows, in YAML: see jobs/cluster/README.md", metavar="FILE"),
    ],
) -> None:
    """Keep a cluster's machines at the minimum that FILE gives, until it is stopped.

    It runs in the cluster and beside everything else: as a Ray job, or wherever RAY_ADDRESS names
    the cluster. When it ends the minimum ends, and idle machines are removed as usual.
    """
    with exit_codes(as_json=False):
        from jobs.cluster.min_machines import read_floors

        floors = read_floors(file)
        if not os.environ.get("RAY_ADDRESS"):
            raise InvalidRequest(
                "RAY_ADDRESS names no cluster to keep a floor under; set it, or send this as a "
                "job: ray job submit --no-wait --working-dir . -- atelier floor FILE"
            )
        from jobs.cluster.min_machines import FloorKeeper
        from jobs.runtime.cluster import joined_cluster

        stopped = Event()
        with joined_cluster():
            for signal_number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signal_number, lambda *_: stopped.set())
            keeper = FloorKeeper(
                floors.held_by, lambda line: print(line, file=sys.stderr, flush=True)
            )
            while not stopped.is_set():
                keeper.keep(floors.at(time()))
                stopped.wait(POLL_SECONDS)
