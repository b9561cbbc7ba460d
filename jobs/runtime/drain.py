"""Notice: a worker hears that its machine goes, ends what it has in hand, and ends itself.

Ray gives a draining machine's actors no new work but leaves them where they are until the
machine is gone, and the rows that wait for them wait as long. An actor that dies earlier is
started again elsewhere at once, and its rows with it; Ray counts no death on a draining machine
against an actor's restarts.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from time import sleep
from typing import NoReturn

import ray
import ray.exceptions
from ray._private.state import state

POLL_SECONDS = 1.0
"""How often the head is asked; its answer takes a millisecond."""


class DrainNotice:
    """One worker's; to be made in the main thread of its process, where signals are taken."""

    def __init__(self) -> None:
        self._going = Event()
        self._room = Lock()

    @property
    def draining(self) -> bool:
        """Whether the machine, or this process alone, is to go."""
        return self._going.is_set()

    def listen(self) -> None:
        """From now on: to SIGTERM, and to what the cluster says of this machine."""
        signal.signal(signal.SIGTERM, lambda *_: self._going.set())
        node = ray.get_runtime_context().get_node_id()
        Thread(target=self._watch, args=(node,), name="notice", daemon=True).start()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around a row: none is begun once it is known that the process goes."""
        with self._room:
            if self.draining:
                exit_process()
            yield

    def _watch(self, node: str) -> None:
        while not self._going.wait(POLL_SECONDS):
            if _drains(node):
                self._going.set()
        with self._room:  # when the row under way has ended
            sleep(POLL_SECONDS)  # what it came to is on its way to the driver
            exit_process()


def exit_process() -> NoReturn:
    """End this process in the one way after which Ray starts an actor again and repeats its rows.

    An exit in good order would count as wanted.
    """
    while True:
        os.kill(os.getpid(), signal.SIGKILL)


def in_actor() -> bool:
    """Whether this process is a worker of Ray that holds an actor."""
    return ray.is_initialized() and ray.get_runtime_context().get_actor_id() is not None


def _drains(node: str) -> bool:
    """Whether the head counts the machine as draining; there is no public way to ask."""
    try:
        return node in state.get_draining_nodes()
    except ray.exceptions.RayError:
        return False  # the head is away for a moment; the next look asks again
