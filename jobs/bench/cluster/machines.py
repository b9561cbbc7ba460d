"""Machines of a simulated cluster: a head and nodes, each a session of processes of its own.

Every node is Ray's own `ray start --block`, as it runs in a container; its CPUs and GPUs are only
counted. A node is lost by SIGKILL to its whole session at once.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import psutil

from app.errors import BackendError

CPUS = 2
OBJECT_STORE_BYTES = 100 * 2**20
START_SECONDS = 120.0
POLL_SECONDS = 0.1
SHARED = (
    "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1",
    f"--object-store-memory={OBJECT_STORE_BYTES}", "--min-worker-port=0", "--max-worker-port=0",
)  # fmt: skip


class Machine:
    """One `ray start --block` with all that it started, in a folder for its sockets.

    The folder is its own, because two nodes that start at once in one folder take each other's
    sockets; and its path is short, because Linux allows 107 bytes for a socket's path, of which Ray
    needs 60.
    """

    def __init__(self, name: str, options: list[str], environment: Mapping[str, str], log: Path):
        self.name = name
        self._own = tempfile.TemporaryDirectory(prefix="at-", ignore_cleanup_errors=True)
        command = [str(Path(sys.executable).parent / "ray"), "start", *options, *SHARED]
        command.append(f"--temp-dir={self._own.name}")
        with log.open("w") as log_file:
            self._process = subprocess.Popen(
                command, env=dict(environment), stdout=log_file, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self._log = log

    @property
    def alive(self) -> bool:
        """Returns whether its Ray runs, or is still starting."""
        return self._process.poll() is None

    def processes(self, *titles: str) -> list[psutil.Process]:
        """Returns its living processes; with titles, only Ray Data workers with one of them."""
        running = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                if os.getsid(process.pid) == self._process.pid and _has_title(process, titles):
                    running.append(process)
        return running

    def await_started(self) -> None:
        """Waits until its Ray reports that it runs. Raises BackendError when it never does."""
        started = monotonic()
        while "Ray runtime started" not in self._log.read_text():
            if not self.alive or monotonic() - started > START_SECONDS:
                raise BackendError(f"{self.name}: {self._log.read_text()[-500:]}", backend="ray")
            sleep(POLL_SECONDS)

    def terminate(self) -> None:
        """Sends SIGTERM to `ray start`, as a container's end or a spot notice begins: it drains."""
        self._process.send_signal(signal.SIGTERM)

    def await_end(self, seconds: float) -> bool:
        """Waits up to that long; returns whether it ended by itself."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return not self.alive

    def kill(self) -> None:
        """Kills all its processes with SIGKILL at once, and waits until none is left."""
        while left := [
            process for process in self.processes() if process.status() != psutil.STATUS_ZOMBIE
        ]:
            for process in left:
                with suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL)
            self._process.poll()
            sleep(POLL_SECONDS)
        self._process.wait()
        self._own.cleanup()


class Machines:
    """A head that does no work, and the nodes that were added to it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """`environment` is for the workers of every node, such as the path of the echo's log."""
        folder.mkdir(parents=True, exist_ok=True)
        token = folder / "token"
        token.write_text("0" * 64)
        token.chmod(0o600)
        self._folder, self._port = folder, free_port()
        self._key = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        self._environment = {**environment, **self._key, "RAY_ADDRESS": ""}
        self.nodes: list[Machine] = []
        self._begun = 0
        options = ["--head", f"--port={self._port}", "--num-cpus=0", "--num-gpus=0"]
        self.head = self._start("n0", [*options, "--include-dashboard=false"])

    @property
    def join_environment(self) -> dict[str, str]:
        """Returns what a run adds to its environment to join this cluster."""
        return {**self._key, "RAY_ADDRESS": f"127.0.0.1:{self._port}"}

    def add(self, *, cpus: int = CPUS, gpus: int = 1) -> Machine:
        """Starts one more node; it joins some seconds later."""
        self._begun += 1
        options = [f"--address=127.0.0.1:{self._port}", f"--num-cpus={cpus}", f"--num-gpus={gpus}"]
        options += ["--dashboard-agent-listen-port=0"]
        node = self._start(f"n{self._begun}", options)
        self.nodes.append(node)
        return node

    def scale_to(self, number: int) -> None:
        """Adds nodes up to this number and waits until all run."""
        while len(self.nodes) < number:
            self.add()
        for machine in (self.head, *self.nodes):
            machine.await_started()

    def workers(self, *titles: str) -> list[psutil.Process]:
        """Returns the workers of these stages on all nodes."""
        return [process for node in self.nodes for process in node.processes(*titles)]

    def remove(self, node: Machine) -> None:
        """Ends what is left of a node and removes it from the list."""
        node.kill()
        self.nodes.remove(node)

    def close(self) -> None:
        """Ends every process of the cluster, and only those."""
        for machine in (*self.nodes, self.head):
            machine.kill()

    def _start(self, name: str, options: list[str]) -> Machine:
        return Machine(name, options, self._environment, self._folder / f"{name}.log")


@contextmanager
def machines(folder: Path, environment: Mapping[str, str], nodes: int) -> Iterator[Machines]:
    """Yields a cluster of this many nodes with a GPU each; ends all of it afterwards."""
    cluster = Machines(folder, environment)
    try:
        cluster.scale_to(nodes)
        yield cluster
    finally:
        cluster.close()


def free_port() -> int:
    """Returns a loopback port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def process_title(process: psutil.Process) -> str:
    """Returns the process's command line; empty when it has just ended."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _has_title(process: psutil.Process, titles: tuple[str, ...]) -> bool:
    command = process_title(process) if titles else ""
    return not titles or ("MapWorker" in command and any(name in command for name in titles))
