"""Machines of a pretended cluster: a head and nodes, each a session of processes of its own.

Every node is Ray's own `ray start --block`, as it runs in a container; its CPUs and GPUs are
numbers that Ray counts with. A node is lost by SIGKILL to its whole session at once.
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

    The folder is its own, as two that start at once in one take each other's sockets; and its path
    is short, as Linux takes 107 bytes for a socket's, of which Ray wants 60.
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
        """Whether its Ray runs, or is still starting."""
        return self._process.poll() is None

    def processes(self, *titles: str) -> list[psutil.Process]:
        """Its living processes; with titles, the workers of Ray Data that bear one of them."""
        running = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                if os.getsid(process.pid) == self._process.pid and _has_title(process, titles):
                    running.append(process)
        return running

    def await_started(self) -> None:
        """Wait until its Ray says that it runs. Raises BackendError when it never does."""
        started = monotonic()
        while "Ray runtime started" not in self._log.read_text():
            if not self.alive or monotonic() - started > START_SECONDS:
                raise BackendError(f"{self.name}: {self._log.read_text()[-500:]}", backend="ray")
            sleep(POLL_SECONDS)

    def terminate(self) -> None:
        """SIGTERM to `ray start`, as a container's end or a spot notice begins: it drains."""
        self._process.send_signal(signal.SIGTERM)

    def await_end(self, seconds: float) -> bool:
        """Whether it ends by itself in that time."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return not self.alive

    def kill(self) -> None:
        """SIGKILL for all of it at once, and until nothing of it is left."""
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
    """A head that works on nothing, and the nodes that were added to it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """`environment` is what the workers of every node read, such as the echo's diary."""
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
        """What a run adds to its environment to come to this cluster."""
        return {**self._key, "RAY_ADDRESS": f"127.0.0.1:{self._port}"}

    def add(self, *, cpus: int = CPUS, gpus: int = 1) -> Machine:
        """Start one more node; it joins some seconds later."""
        self._begun += 1
        options = [f"--address=127.0.0.1:{self._port}", f"--num-cpus={cpus}", f"--num-gpus={gpus}"]
        options += ["--dashboard-agent-listen-port=0"]
        node = self._start(f"n{self._begun}", options)
        self.nodes.append(node)
        return node

    def scale_to(self, number: int) -> None:
        """Have so many nodes, all of them running."""
        while len(self.nodes) < number:
            self.add()
        for machine in (self.head, *self.nodes):
            machine.await_started()

    def workers(self, *titles: str) -> list[psutil.Process]:
        """The workers of these stages on all nodes."""
        return [process for node in self.nodes for process in node.processes(*titles)]

    def remove(self, node: Machine) -> None:
        """End what is left of a node, and forget it."""
        node.kill()
        self.nodes.remove(node)

    def close(self) -> None:
        """End every process of the cluster, and only those."""
        for machine in (*self.nodes, self.head):
            machine.kill()

    def _start(self, name: str, options: list[str]) -> Machine:
        return Machine(name, options, self._environment, self._folder / f"{name}.log")


@contextmanager
def machines(folder: Path, environment: Mapping[str, str], nodes: int) -> Iterator[Machines]:
    """A cluster of so many nodes with a GPU each; in the end nothing of it is left."""
    cluster = Machines(folder, environment)
    try:
        cluster.scale_to(nodes)
        yield cluster
    finally:
        cluster.close()


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def process_title(process: psutil.Process) -> str:
    """The words of its command; none when it has just ended."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _has_title(process: psutil.Process, titles: tuple[str, ...]) -> bool:
    command = process_title(process) if titles else ""
    return not titles or ("MapWorker" in command and any(name in command for name in titles))
