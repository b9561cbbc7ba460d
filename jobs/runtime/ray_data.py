"""Stages over Ray Data: one value a row, pools of warm actors, finite retries everywhere."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import ray.exceptions

from app.errors import BackendError
from app.generate.generate import WorkerLeaving
from app.types import Value
from jobs.runtime.cluster import check_interrupted
from jobs.runtime.drain import DrainNotice, exit_process, in_actor

if TYPE_CHECKING:  # `joined_cluster` imports it while the cluster starts
    from ray.data import Dataset

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


def to_dataset(values: Iterable[Value]) -> "Dataset":
    """Returns a dataset of one block per value: a value is the unit of work, retry and loss."""
    import ray.data

    items = [{"payload": value.model_dump_json()} for value in values]
    return ray.data.from_items(items, override_num_blocks=max(len(items), 1))


def run_stage(
    dataset: "Dataset",
    stage: type[StageWorker[In, Out]],
    *,
    workers: int,
    num_gpus: float = 0,
    max_deaths: int = MAX_DEATHS,
    **constructor: Any,
) -> "Dataset":
    """Sends the rows through a pool of at most `workers` warm actors of a stage.

    Up to `max_deaths` deaths of an actor are tolerated, and as many retries of one row.
    """
    from ray.data import ActorPoolStrategy

    pool = ActorPoolStrategy(
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


def from_dataset(dataset: "Dataset", kind: type[Out]) -> Iterator[Out]:
    """Yields the rows' values as they arrive, in no fixed order.

    Raises BackendError when a stage failed in a way that it does not handle itself.
    """
    try:
        for row in dataset.iter_rows():
            check_interrupted()
            yield kind.model_validate_json(row["payload"])
    except ray.exceptions.RayError as exc:
        cause = str(exc).strip().splitlines()[-1]
        raise BackendError(
            f"a worker of the run broke: {cause}; run the same command again to go on",
            backend="ray",
        ) from exc
