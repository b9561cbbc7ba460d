"""The cluster as `cluster.yaml` starts its head, on this machine, with the service and MLflow.

The head's own command is taken from the file, with other folders and ports, because this machine
may run another cluster; the head also does the work of the missing machines.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil
import requests
import yaml

from app.api.keys import add_key
from app.errors import BackendError
from jobs.bench.cluster.machines import POLL_SECONDS, free_port
from jobs.bench.cluster.port_scan import session_processes

ROOT = Path(__file__).parents[3]
CLUSTER = ROOT / "cluster.yaml"
SERVE = ROOT / "deployments" / "serve.yaml"
BIN = Path(sys.executable).parent
START_SECONDS = 400.0
ANSWER_SECONDS = 30
OUR_PROCESSES = ("RAY_", "ATELIER_", "MLFLOW_", "AUTOSCALER_METRIC_PORT", "DASHBOARD_METRIC_PORT")
"""Variables of this process that are not part of the profile."""


@dataclass(frozen=True, slots=True)
class SecuredCluster:
    """A running profile: its processes, and the credentials for it."""

    folder: Path
    leaders: Mapping[str, subprocess.Popen[bytes]]
    service_url: str
    dashboard_url: str
    mlflow_url: str
    key: str
    token: Path
    mlflow_environment: Mapping[str, str]

    @property
    def processes(self) -> list[psutil.Process]:
        """Returns the processes of everything that was started."""
        return [
            process for leader in self.leaders.values() for process in session_processes(leader.pid)
        ]


@contextmanager
def secured_cluster(folder: Path) -> Iterator[SecuredCluster]:
    """Yields the profile once all of it answers; ends all of it afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    profile = _profile(folder)
    leaders: dict[str, subprocess.Popen[bytes]] = {}
    try:
        leaders["mlflow"] = _start(
            "mlflow", [str(BIN / "mlflow"), *_mlflow_options(profile)], folder, profile.mlflow
        )
        leaders["head"] = _start("head", ["bash", "-c", profile.head], folder, profile.environment)
        _await(f"{profile.dashboard_url}/api/gcs_healthz", leaders["head"], folder / "head.log")
        _deploy(profile)
        _await(f"{profile.service_url}/readyz", leaders["head"], folder / "head.log")
        _await(f"{profile.mlflow_url}/health", leaders["mlflow"], folder / "mlflow.log")
        yield SecuredCluster(
            folder=folder, leaders=leaders, service_url=profile.service_url,
            dashboard_url=profile.dashboard_url, mlflow_url=profile.mlflow_url,
            key=profile.key, token=profile.token, mlflow_environment=profile.mlflow,
        )  # fmt: skip
    finally:
        for leader in leaders.values():
            _end(leader)


@dataclass(frozen=True, slots=True)
class _Profile:
    """Everything that is decided before anything is started."""

    folder: Path
    head: str
    token: Path
    key: str
    environment: Mapping[str, str]
    mlflow: Mapping[str, str]
    service_url: str
    dashboard_url: str
    mlflow_url: str


def _profile(folder: Path) -> _Profile:
    token, settings, home = folder / "auth_token", folder / "settings.env", folder / "home"
    address = _own_address()
    dashboard, service, mlflow = free_port(), free_port(), free_port()
    _write(token, secrets.token_hex(32))
    _write(settings, f"MLFLOW_TRACKING_URI=http://{address}:{mlflow}\n")
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(OUR_PROCESSES)
    }
    clean |= {"PATH": f"{BIN}:{clean['PATH']}", "OMP_NUM_THREADS": "1"}
    metrics = {f"{who}_METRIC_PORT": str(free_port()) for who in ("AUTOSCALER", "DASHBOARD")}
    return _Profile(
        folder=folder,
        head=_head(folder, token, settings, home, dashboard),
        token=token,
        key=add_key(home, "bench"),
        environment=clean | metrics | {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"},
        mlflow=clean | _mlflow_environment(folder),
        service_url=f"http://{address}:{service}",
        dashboard_url=f"http://127.0.0.1:{dashboard}",
        mlflow_url=f"http://{address}:{mlflow}",
    )


def _head(folder: Path, token: Path, settings: Path, home: Path, dashboard: int) -> str:
    """Returns the last of the file's commands: the earlier ones stop any Ray on the machine."""
    command: str = yaml.safe_load(CLUSTER.read_text())["head_start_ray_commands"][-1]
    changes = {
        "/home/atelier/secrets/settings.env": str(settings),
        "/home/atelier/secrets/auth_token": str(token),
        "/home/atelier/home": str(home),
        "--port=6379": f"--port={free_port()}",
        "--dashboard-port=8265": f"--dashboard-port={dashboard}",
        "--metrics-export-port=8080": f"--metrics-export-port={free_port()}",
        "--autoscaling-config=~/ray_bootstrap_config.yaml": "",
        "ray start": "exec ray start",
    }
    for written, ours in changes.items():
        if written not in command:
            raise BackendError(
                f"{CLUSTER.name} no longer starts its head with {written}", backend="ray"
            )
        command = command.replace(written, ours)
    here = [
        "--block", "--num-cpus=4", "--num-gpus=0", "--object-store-memory=200000000",
        "--min-worker-port=0", "--max-worker-port=0", f"--temp-dir={folder / 'r'}",
        f"--ray-client-server-port={free_port()}", f"--dashboard-agent-listen-port={free_port()}",
    ]  # fmt: skip
    return " ".join([command, *here])


def _mlflow_environment(folder: Path) -> dict[str, str]:
    """Returns the environment of MLflow with accounts; without one nothing is permitted."""
    accounts = folder / "accounts.ini"
    password = secrets.token_urlsafe(24)
    lines = {
        "default_permission": "NO_PERMISSIONS",
        "database_uri": f"sqlite:///{folder / 'accounts.db'}",
        "admin_username": "bench",
        "admin_password": password,
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
    }
    _write(accounts, "\n".join(["[mlflow]", *(f"{key} = {value}" for key, value in lines.items())]))
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(accounts),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _mlflow_options(profile: _Profile) -> list[str]:
    host, _, port = profile.mlflow_url.removeprefix("http://").rpartition(":")
    return [
        "server", "--app-name", "basic-auth", "--host", host, "--port", port, "--workers", "1",
        "--allowed-hosts", f"{host}:{port}",
        "--backend-store-uri", f"sqlite:///{profile.folder / 'mlflow.db'}",
        "--artifacts-destination", str(profile.folder / "artifacts"),
    ]  # fmt: skip


def _deploy(profile: _Profile) -> None:
    """Deploys as `serve deploy` does, only the draft role, where other machines can reach it."""
    host, _, port = profile.service_url.removeprefix("http://").rpartition(":")
    shape: dict[str, Any] = yaml.safe_load(SERVE.read_text())
    shape["http_options"] |= {"host": host, "port": int(port)}
    (application,) = shape["applications"]
    args = application["args"]
    application["args"] = {role: args[role] for role in ("router", "draft", "follow")}
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {profile.token.read_text()}"
        endpoint = f"{profile.dashboard_url}/api/serve/applications/"
        response = session.put(endpoint, json=shape, timeout=ANSWER_SECONDS)
    if not response.ok:
        raise BackendError(f"the service was not deployed: {response.text[-500:]}", backend="serve")


def _start(
    name: str, command: list[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.log").open("w") as log_file:
        return subprocess.Popen(
            command, env=dict(environment), cwd=ROOT, stdout=log_file, stderr=log_file,
            start_new_session=True,
        )  # fmt: skip


def _await(url: str, leader: subprocess.Popen[bytes], log: Path) -> None:
    late = monotonic() + START_SECONDS
    with requests.Session() as session:
        session.trust_env = False
        while leader.poll() is None and monotonic() < late:
            with suppress(requests.RequestException):
                if session.get(url, timeout=ANSWER_SECONDS).ok:
                    return
            sleep(POLL_SECONDS)
    raise BackendError(f"{url} does not answer: {log.read_text()[-500:]}", backend="ray")


def _end(leader: subprocess.Popen[bytes]) -> None:
    """Kills all of its session, and waits until none of it is left."""
    while left := [
        process
        for process in session_processes(leader.pid)
        if process.status() != psutil.STATUS_ZOMBIE
    ]:
        for process in left:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        leader.poll()
        sleep(POLL_SECONDS)
    leader.wait()


def _write(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)


def _own_address() -> str:
    """Returns this machine's address as Ray finds it; loopback where there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return str(probe.getsockname()[0])
    return "127.0.0.1"
