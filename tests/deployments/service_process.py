"""The real service in processes of its own, and how it is called and looked at from outside."""

import json
import os
import signal
import socket
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import yaml

ROOT = Path(__file__).parents[2]
IMAGES = "/v1/images/generations"
WAIT = httpx.Timeout(300)


class Service:
    """One service on a free port, of the file's shape but for what `shape` changes in its args."""

    def __init__(self, folder: Path, shape: Callable[[dict[str, Any]], None]) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # Ray's sockets need a short path: beside the system's own, not below pytest's.
        self.environment = os.environ | {
            "ATELIER_HOME": str(folder / "home"),
            "OMP_NUM_THREADS": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deployments", "serve", "--port", str(self.port),
             "--config", str(_written(folder, shape))],
            cwd=ROOT, env=self.environment, text=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout
        self.said = self.process.stdout.readline()

    @property
    def processes(self) -> list[psutil.Process]:
        """The whole tree."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def client(self) -> httpx.Client:
        """Plain HTTP."""
        return httpx.Client(base_url=self.url, timeout=WAIT)

    @cached_property
    def openai(self) -> openai.OpenAI:
        """OpenAI's own client, which is not to hide a refusal by trying again."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=300)

    def roles(self) -> dict[str, dict[str, Any]]:
        """What a replica of each role has under way."""
        with self.client() as client:
            roles: dict[str, dict[str, Any]] = client.get("/readyz").json()["roles"]
            return roles

    def state(self) -> dict[str, Any]:
        """The draft replica's counters."""
        return self.roles()["draft"]

    def models(self) -> dict[str, str]:
        """The version that each name stands for, as callers are told."""
        with self.client() as client:
            shown = client.get("/v1/models").json()["data"]
            return {model["id"]: model["version"] for model in shown}

    def atelier(self, *words: str) -> Any:
        """What the command line says of the same home, as JSON."""
        command = [sys.executable, "-c", "from app.cli.main import main; main()", *words]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    def stop(self) -> str:
        """Ctrl-C; returns what was said after the address."""
        self.openai.close()
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=300)
        return output


def body(**fields: Any) -> dict[str, Any]:
    return {"prompt": "a red potion", "model": "starter"} | fields


def alone(service: Service, **fields: Any) -> bytes:
    """The file that a call gets when nobody else calls."""
    with service.client() as client:
        (image,) = client.post(IMAGES, json=body(**fields)).json()["data"]
    return b64decode(image["b64_json"])


def replicas(service: Service, deployment: str) -> list[psutil.Process]:
    """Those alive; a process may end while it is looked at."""
    running = []
    for process in service.processes:
        with suppress(psutil.NoSuchProcess):
            if f":{deployment}" in "".join(process.cmdline()):
                running.append(process)
    return running


def _written(folder: Path, shape: Callable[[dict[str, Any]], None]) -> Path:
    document = yaml.safe_load((ROOT / "deployments" / "serve.yaml").read_text())
    document["http_options"]["request_timeout_s"] = 600  # machines are busy
    shape(document["applications"][0]["args"])
    file = folder / "serve.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
