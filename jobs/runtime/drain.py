"""Draining: a worker learns that its machine is to go, finishes its row, and kills itself.

Ray gives a draining machine's actors no new work but leaves them running until the machine is gone,
and the rows that wait for them wait as long. An actor that dies earlier is restarted elsewhere at
once, with its rows; Ray does not count a death on a draining machine against an actor's restarts.
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
    """The drain notice of one worker; `listen` must be called in the process's main thread."""

    def __init__(self) -> None:
        self._going = Event()
        self._room = Lock()

    @property
    def draining(self) -> bool:
        """Returns whether the machine, or only this process, is to go."""
        return self._going.is_set()

    def listen(self) -> None:
        """Starts listening to SIGTERM and to the cluster's state of this machine."""
        signal.signal(signal.SIGTERM, lambda *_: self._going.set())
        node = ray.get_runtime_context().get_node_id()
        Thread(target=self._watch, args=(node,), name="notice", daemon=True).start()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Wraps the work on a row: none is started once the process is to go."""
        with self._room:
            if self.draining:
                exit_process()
            yield

    def _watch(self, node: str) -> None:
        while not self._going.wait(POLL_SECONDS):
            if _drains(node):
                self._going.set()
        with self._room:  # when the row in progress has ended
            sleep(POLL_SECONDS)  # its result is on the way to the driver
            exit_process()


def exit_process() -> NoReturn:
    """Kills this process with SIGKILL, the one exit after which Ray restarts an actor and its rows.

    Ray takes a normal exit as intended and does not restart the actor.
    """
    while True:
        os.kill(os.getpid(), signal.SIGKILL)


def in_actor() -> bool:
    """Returns whether this process is a worker of Ray that holds an actor."""
    return ray.is_initialized() and ray.get_runtime_context().get_actor_id() is not None


def _drains(node: str) -> bool:
    """Returns whether the head lists the machine as draining; Ray has no public API for this."""
    try:
        return node in state.get_draining_nodes()
    except ray.exceptions.RayError:
        return False  # the head is briefly unavailable; the next poll asks again
