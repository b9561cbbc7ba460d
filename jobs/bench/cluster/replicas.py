"""Scales a role of the service from no replica to several and back, twice; no call may fail.

The service runs as users start it, with the starter model; only its delays are short. Replicas are
counted as processes from outside, not by what the service reports.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil
import requests
import yaml

from app.cli.output import Say
from app.errors import BackendError
from app.types import Value
from jobs.bench.cluster.machines import POLL_SECONDS, free_port, process_title
from jobs.crash_tests.home import CrashTestHome

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "deployments" / "serve.yaml"
MAX_REPLICAS = 3
CLIENTS = 9
STEPS = 60
"""Steps of one image: enough that a burst lasts until all replicas have started."""
BURSTS = 2
ANSWER_SECONDS = 300
TIMEOUT_SECONDS = 300.0
DELAYS = {
    "target_ongoing_requests": 2,
    "metrics_interval_s": 0.5,
    "look_back_period_s": 2,
    "upscale_delay_s": 0.5,
    "downscale_delay_s": 3,
    "downscale_to_zero_delay_s": 5,
}
TITLE = "ServeReplica:atelier:draft"


class CallBurst(Value):
    """Calls at once to a service without a replica, followed by a pause without calls."""

    calls: int
    failed: int
    """Answers other than an image, including broken connections."""
    first_answer_seconds: float
    all_answered_seconds: float
    most_replicas: int
    idle_seconds: float
    """From the last answer to the last replica's end."""


class Replicas(Value):
    """The results of the bursts, and the number of replicas over time."""

    most: int
    """Replicas that the role may have."""
    bursts: tuple[CallBurst, ...]
    course: tuple[int, ...]
    """The number of processes at each change; it starts with none."""

    @property
    def holds(self) -> bool:
        """Returns whether every burst got several replicas, none was left, and no call failed."""
        rose = all(burst.most_replicas > 1 for burst in self.bursts)
        return rose and self.course[-1] == 0 and not any(burst.failed for burst in self.bursts)


def run_bursts(calls: int, folder: Path, say: Say, *, bursts: int = BURSTS) -> Replicas:
    """Runs bursts of `calls`; raises BackendError when the replicas do not stop."""
    folder.mkdir(parents=True, exist_ok=True)
    with _service(folder) as service:
        _until_none(service)
        results = []
        for _ in range(bursts):
            results.append(_burst(service, calls))
            say(str(results[-1]))
    return Replicas(most=MAX_REPLICAS, bursts=tuple(results), course=tuple(service.course))


class _RunningService:
    """The service's address, and every change of the number of its replicas."""

    def __init__(self, url: str, process: psutil.Process) -> None:
        self.url, self.course = url, [0]
        self._process = process

    def poll(self) -> int:
        count = 0
        with suppress(psutil.NoSuchProcess):
            count = sum(
                TITLE in process_title(child) for child in self._process.children(recursive=True)
            )
        if count != self.course[-1]:
            self.course.append(count)
        return count


def _burst(service: _RunningService, calls: int) -> CallBurst:
    began = monotonic()
    known = len(service.course)
    ends: list[float] = []

    def call(seed: int) -> bool:
        made = _made(service.url, seed)
        ends.append(monotonic())
        return made

    with ThreadPoolExecutor(min(calls, CLIENTS)) as callers:
        answers = [callers.submit(call, seed) for seed in range(calls)]
        _watch(service, answers)
    made = [answer.result() for answer in answers]
    _until_none(service)
    return CallBurst(
        calls=calls,
        failed=made.count(False),
        first_answer_seconds=round(min(ends) - began, 1),
        all_answered_seconds=round(max(ends) - began, 1),
        most_replicas=max(service.course[known:], default=0),
        idle_seconds=round(monotonic() - max(ends), 1),
    )


def _made(url: str, seed: int) -> bool:
    body: dict[str, Any] = {
        "prompt": "a red potion",
        "model": "draft",
        "seed": seed,
        "steps": STEPS,
    }
    with requests.Session() as session:
        session.trust_env = False
        with suppress(requests.RequestException):
            endpoint = f"{url}/v1/images/generations"
            answer = session.post(endpoint, json=body, timeout=ANSWER_SECONDS)
            return bool(answer.ok and answer.json()["data"])
    return False


def _watch(service: _RunningService, answers: Sequence[Future[bool]]) -> None:
    while not all(answer.done() for answer in answers):
        service.poll()
        sleep(POLL_SECONDS)


def _until_none(service: _RunningService) -> None:
    late = monotonic() + TIMEOUT_SECONDS
    while service.poll():
        if monotonic() > late:
            raise BackendError("replicas without work are not stopped", backend="serve")
        sleep(POLL_SECONDS)


@contextmanager
def _service(folder: Path) -> Iterator[_RunningService]:
    """Yields the service once it answers; shuts it down cleanly and kills what is left of it."""
    config, log, port = folder / "serve.yaml", folder / "log", free_port()
    config.write_text(yaml.safe_dump(_shape()))
    command = [sys.executable, "-m", "deployments", "serve"]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "--config", str(config), "--port", str(port)],
            cwd=ROOT, env=_environment(folder), stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        _await_answer(process, log)
        yield _RunningService(f"http://127.0.0.1:{port}", psutil.Process(process.pid))
    finally:
        _stop(process)


def _shape() -> dict[str, Any]:
    """Returns `deployments/serve.yaml` with only the draft role, and no replica kept ready."""
    shape: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    shape["http_options"]["request_timeout_s"] = ANSWER_SECONDS
    (application,) = shape["applications"]
    args = {role: application["args"][role] for role in ("router", "draft", "follow")}
    args["draft"]["replicas"] |= {"min_replicas": 0, "max_replicas": MAX_REPLICAS} | DELAYS
    application["args"] = args
    return shape


def _environment(folder: Path) -> dict[str, str]:
    """Returns an environment with a home of its own and no cluster address."""
    own = CrashTestHome(folder / "h").environment(OMP_NUM_THREADS="1")
    return {name: value for name, value in own.items() if name != "RAY_ADDRESS"}


def _await_answer(process: subprocess.Popen[bytes], log: Path) -> None:
    late = monotonic() + TIMEOUT_SECONDS
    while " answers" not in log.read_text():
        if process.poll() is not None or monotonic() > late:
            raise BackendError(
                f"the service did not start: {log.read_text()[-500:]}", backend="serve"
            )
        sleep(POLL_SECONDS)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(TIMEOUT_SECONDS)
    for leftover in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(leftover.pid) == process.pid:
                leftover.kill()
    process.wait()
