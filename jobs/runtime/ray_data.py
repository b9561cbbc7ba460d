"""Ray, started quietly on this machine or joined by address, with finite retries everywhere."""

import logging
import os
import signal
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from threading import Event
from types import FrameType
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import ray
import ray.data
import ray.exceptions

from app.errors import BackendError
from app.generate.generate import WorkerLeaving
from app.ray_environment import quiet_start
from app.settings import Settings
from app.types import Value
from jobs.runtime.drain import DrainNotice, exit_process, in_actor

OBJECT_STORE_BYTES = 200 * 2**20
"""Rows carry digests, not pixels: little is enough, and laptops keep their memory."""
NO_PROGRESS_SECONDS = 3600
"""Longer than it takes to give up a request that hangs every worker: see `stuck_seconds`."""
IMAGES_PER_WORKER = 100
"""Loading the starter takes a core as long as making about this many images."""
_stop = Event()
"""Set by a signal: Python drops an exception that a handler raises inside some callbacks of Ray, so
`from_dataset` checks this as well.
"""

MAX_DEATHS = 30
"""How many deaths of a stage's worker are tolerated. Each takes a retry from every row that waits
for that worker, guilty or not: with only a few, one bad row would fail its neighbours.
"""
MAX_GENERATION_DEATHS = 1000
"""The ledger refuses a request after it has killed a few workers, however many such requests there
are; this limits only what the ledger does not see, a model that dies while it loads.
"""

In = TypeVar("In", bound=Value)
Out = TypeVar("Out", bound=Value)


@contextmanager
def joined_cluster() -> Iterator[None]:
    """Joins `RAY_ADDRESS` if it is set, else starts Ray here; shuts down only what it started."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    with quiet_start():
        ray.init(logging_level=logging.ERROR, log_to_driver=False, **_local())
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


def _local() -> dict[str, Any]:
    if os.environ.get("RAY_ADDRESS"):
        return {}
    return {
        "include_dashboard": False,
        "num_cpus": max(cores(), 4),  # logical: stages ask for fractions, none may starve a read
        "object_store_memory": OBJECT_STORE_BYTES,
    }


def _bound_and_quiet() -> None:
    context = ray.data.DataContext.get_current()
    context.execution_no_progress_timeout_s = NO_PROGRESS_SECONDS
    context.memory_usage_poll_interval_s = None  # it reads every worker's page tables each second
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    _stop.set()
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


class StageWorker(ABC, Generic[In, Out]):
    """One stage's worker: a row holds one value as JSON, and one row in gives one row out."""

    takes: type[In]
    num_cpus: ClassVar[float] = 0.25
    """CPUs of each worker: a fraction, so that a machine of two cores has room for every stage."""
    drain_notice: DrainNotice

    def __new__(cls, *_: object, **__: object) -> Self:
        """Listens for the machine's end before `__init__`, in the thread that takes signals."""
        stage = super().__new__(cls)
        stage.drain_notice = DrainNotice()
        if in_actor():
            stage.drain_notice.listen()
        return stage

    @abstractmethod
    def run(self, value: In) -> Out:
        """Returns the stage's result for one value."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Implements Ray Data's calling convention around `run`."""
        value = self.takes.model_validate_json(batch["payload"][0])
        with self.drain_notice.working():
            try:
                done = self.run(value)
            except WorkerLeaving:
                exit_process()  # Ray repeats the row elsewhere; committed images are reused
        return {"payload": np.array([done.model_dump_json()], dtype=object)}


def to_dataset(values: Iterable[Value]) -> ray.data.Dataset:
    """Returns a dataset of one block per value: a value is the unit of work, retry and loss."""
    items = [{"payload": value.model_dump_json()} for value in values]
    return ray.data.from_items(items, override_num_blocks=max(len(items), 1))


def run_stage(
    dataset: ray.data.Dataset,
    stage: type[StageWorker[In, Out]],
    *,
    workers: int,
    num_gpus: float = 0,
    max_deaths: int = MAX_DEATHS,
    **constructor: Any,
) -> ray.data.Dataset:
    """Sends the rows through a pool of at most `workers` warm actors of a stage.

    Up to `max_deaths` deaths of an actor are tolerated, and as many retries of one row.
    """
    pool = ray.data.ActorPoolStrategy(
        min_size=1, max_size=workers, initial_size=workers, max_tasks_in_flight_per_actor=4
    )
    with warnings.catch_warnings():
        # Ray Data restarts actors and repeats their tasks for ever by default; finite numbers can
        # be given only by the remote arguments that it warns about.
        warnings.filterwarnings("ignore", message=".*ray_remote_args.*")
        return dataset.map_batches(
            stage,
            fn_constructor_kwargs=constructor,
            batch_size=1,
            compute=pool,
            num_cpus=0 if num_gpus else stage.num_cpus,  # a GPU worker would reserve a core as well
            num_gpus=num_gpus or None,
            udf_modifying_row_count=False,
            max_restarts=max_deaths,
            max_task_retries=max_deaths,
        )


def from_dataset(dataset: ray.data.Dataset, kind: type[Out]) -> Iterator[Out]:
    """Yields the rows' values as they arrive, in no fixed order.

    Raises BackendError when a stage failed in a way that it does not handle itself.
    """
    try:
        for row in dataset.iter_rows():
            if _stop.is_set():
                raise KeyboardInterrupt
            yield kind.model_validate_json(row["payload"])
    except ray.exceptions.RayError as exc:
        cause = str(exc).strip().splitlines()[-1]
        raise BackendError(
            f"a worker of the run broke: {cause}; run the same command again to go on",
            backend="ray",
        ) from exc
