"""The Ray cluster of a run: started quietly on this machine, or joined by its address."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from threading import Event, Thread
from types import FrameType
from typing import Any

import ray
from ray._private import node
from ray._private.node import Node

from app.ray_environment import quiet_start
from app.settings import Settings

OBJECT_STORE_BYTES = 200 * 2**20
"""Rows carry digests, not pixels: little is enough, and laptops keep their memory."""
NO_PROGRESS_SECONDS = 3600
"""Longer than it takes to give up a request that hangs every worker: see `stuck_seconds`."""
IMAGES_PER_WORKER = 100
"""Loading the starter takes a core as long as making about this many images."""
_stop = Event()
"""Set by a signal: Python drops an exception that a handler raises inside some callbacks of Ray, so
`check_interrupted` looks at this as well.
"""


@contextmanager
def joined_cluster() -> Iterator[None]:
    """Joins `RAY_ADDRESS` if it is set, else starts Ray here; shuts down only what it started."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    loading = Thread(target=import_module, args=("ray.data",), name="import")
    loading.start()  # the cluster's processes take as long to start as this takes to load
    start_ray()
    loading.join()
    _stop.clear()
    signals = (signal.SIGINT, signal.SIGTERM)
    previous = [
        signal.signal(number, _interrupt) for number in signals
    ]  # after init, which sets its own
    with redirect_stdout(sys.stderr):  # where Ray reports dead workers until it ends
        try:
            _bound_and_quiet()
            yield
        finally:
            for number, handler in zip(signals, previous, strict=True):
                signal.signal(number, handler)
            ray.shutdown()


def start_ray() -> None:
    """Starts Ray on this machine, or connects to the cluster at `RAY_ADDRESS`."""
    with quiet_start(), _without_cluster_processes():
        ray.init(logging_level=logging.ERROR, log_to_driver=False, **_local())


class _LocalNode(Node):
    """Ray's node without its dashboard, autoscaler and log monitor, which Ray cannot leave out.

    A run on one machine uses none of them; each is a process that imports Ray, and the dashboard
    keeps `ray.init` waiting.
    """

    def start_monitor(self) -> None:
        """Starts no autoscaler: there are no machines to ask for."""

    def start_log_monitor(self) -> None:
        """Starts no log monitor: the driver prints no worker's lines."""

    def start_api_server(self, **_: object) -> None:
        """Starts no dashboard: nothing is served from it."""
        self._webui_url = None


@contextmanager
def _without_cluster_processes() -> Iterator[None]:
    """Makes `ray.init` start a `_LocalNode`; joining a cluster by its address is not changed."""
    node.Node = _LocalNode  # type: ignore[misc]
    try:
        yield
    finally:
        node.Node = Node  # type: ignore[misc]


def _local() -> dict[str, Any]:
    if os.environ.get("RAY_ADDRESS"):
        return {}
    return {
        "include_dashboard": False,
        "num_cpus": max(cores(), 4),  # logical: stages ask for fractions, none may starve a read
        "object_store_memory": OBJECT_STORE_BYTES,
    }


def _bound_and_quiet() -> None:
    import ray.data

    context = ray.data.DataContext.get_current()
    context.execution_no_progress_timeout_s = NO_PROGRESS_SECONDS
    context.memory_usage_poll_interval_s = None  # it reads every worker's page tables each second
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    _stop.set()
    raise KeyboardInterrupt


def check_interrupted() -> None:
    """Raises KeyboardInterrupt when a signal arrived since the cluster was joined."""
    if _stop.is_set():
        raise KeyboardInterrupt


def cores() -> int:
    """Returns the number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> int:
    """Returns the GPUs of the running cluster, or as many as its pools may grow to.

    Ray does not report how far it may grow, so the setting `cluster_gpus` gives it. With a service
    as the renderer the result is 0: the service's engines hold the GPUs.
    """
    settings = Settings()
    return 0 if settings.service else max(_gpus_here(), settings.cluster_gpus)


def _gpus_here() -> int:
    return int(ray.cluster_resources().get("GPU", 0))


def generation_workers(asked: int | None, images: int) -> int:
    """Returns the workers asked for; else one per GPU or core, as far as their start-up pays."""
    if most := gpus():
        return min(asked or max(_gpus_here(), images // IMAGES_PER_WORKER, 1), most)
    return asked or min(cores(), max(images // IMAGES_PER_WORKER, 1))
