"""Services in processes of their own: which there are, what each needs, starting and stopping."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

import httpx
import psutil
import yaml

from app.errors import BackendError
from jobs.bench.cluster.machines import free_port


def missing_package(package: str) -> str:
    """Returns what to do before a package can be imported; empty when it can."""
    if find_spec(package):
        return ""
    return f"{package} is not installed; pip install -c constraints.txt -e '.[bench]'"


ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "deployments" / "serve.yaml"
START_SECONDS = 180
STOP_SECONDS = 60
LOG_LINES = 15


@dataclass(frozen=True, slots=True)
class Server:
    """A service: the module that starts it, its path, and the package that it needs."""

    name: str
    module: str
    path: str
    needs: str = ""
    ours: bool = False
    options: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """Returns what to do before it can be started; empty when it can."""
        return missing_package(self.needs) if self.needs else ""


OURS = Server("atelier", "deployments", "/v1/images/generations", ours=True)
OTHERS = (
    Server("ray serve", "jobs.bench.serve.ray_serve", "/generate"),
    Server("serve.batch", "jobs.bench.serve.ray_serve", "/generate", options=("--batched",)),
    Server("litserve", "jobs.bench.serve.lit_serve", "/generate", needs="litserve"),
)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A service that answers at `url`; the CPU time counts every process it has at present."""

    url: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Returns the CPU seconds of the whole process tree since its start."""
        times = [
            process.cpu_times()
            for process in (self.process, *self.process.children(recursive=True))
        ]
        return float(sum(cpu.user + cpu.system for cpu in times))


def document() -> dict[str, Any]:
    """Returns `deployments/serve.yaml` with the one model and the one thread that all use."""
    shape: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    (application,) = shape["applications"]
    application["args"] = {
        role: application["args"][role] for role in ("router", "draft", "follow")
    }
    draft = application["args"]["draft"]
    draft |= {"model": "starter", "threads": 1}
    draft["replicas"] |= {"min_replicas": 1, "max_replicas": 1}
    return shape


@contextmanager
def running_server(server: Server) -> Iterator[RunningServer]:
    """Yields the service once it answers; raises BackendError with the end of its log."""
    # Ray puts its sockets into such a folder, and their path must be short.
    with TemporaryDirectory(prefix="atelier-bench-", ignore_cleanup_errors=True) as folder:
        port = free_port()
        log = Path(folder) / "log"
        with log.open("w") as log_file:
            process = subprocess.Popen(
                [sys.executable, "-m", server.module, *_arguments(server, Path(folder), port)],
                cwd=ROOT, env=_environment(folder), stdout=log_file, stderr=log_file,
                # Ctrl-C is for the benchmark, which then stops it. No session of its own: Linux
                # shares a busy machine among sessions, and the bare engine runs in this one.
                process_group=0,
            )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(server, process, url, log)
            yield RunningServer(url, psutil.Process(process.pid))
        finally:
            _stop(process)


def _arguments(server: Server, folder: Path, port: int) -> list[str]:
    if not server.ours:
        return ["--port", str(port), *server.options]
    config = folder / "serve.yaml"
    config.write_text(yaml.safe_dump(document()))
    return ["serve", "--config", str(config), "--port", str(port)]


def _environment(folder: str) -> dict[str, str]:
    """Returns an environment with its own home, one thread, this checkout first, and no cluster."""
    inherited = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    own = {"ATELIER_HOME": f"{folder}/home", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    return inherited | own | {"ATELIER_STORE_URL": "", "ATELIER_CATALOG_URL": ""}


def _wait(server: Server, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Waits until the service answers an invalid body, which costs no image."""
    late = monotonic() + START_SECONDS
    while process.poll() is None and monotonic() < late:
        with suppress(httpx.TransportError):
            answer = httpx.post(f"{url}{server.path}", json={}, timeout=10, trust_env=False)
            if answer.status_code not in (404, 503):
                return
        sleep(0.25)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
    raise BackendError(
        f"{server.name} does not answer; the end of its log:\n{last}", backend=server.name
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Terminates it, and kills what does not end; nothing it started is left."""
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        _, left = psutil.wait_procs(family, timeout=5)
        for leftover in left:
            with suppress(psutil.NoSuchProcess):
                leftover.kill()
    if process.poll() is None:
        process.kill()
        process.wait()
