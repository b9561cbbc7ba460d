"""The job server of a Ray cluster: connects to it with a token and lists our jobs.

Every unexpected answer becomes an error that says what to do.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import requests
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from app.errors import BackendUnavailable, InvalidRequest

ANSWER_SECONDS = 15
ACTIVE = (JobStatus.PENDING, JobStatus.RUNNING)
JOB_TAG = "atelier"
"""The key in a job's metadata that marks our jobs."""
_TOKEN_FILE = Path("~/.ray/auth_token")
_NOISY_LOGGERS = (
    "ray.dashboard.modules.job.sdk",
    "ray.dashboard.modules.dashboard_sdk",
    "ray._private.runtime_env.packaging",
)
_PREFERRED = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")


def connect(url: str) -> JobSubmissionClient:
    """Returns a client of the cluster's job server, which must run the same Ray as this process.

    Raises InvalidRequest for a malformed address, a token that is missing or wrong and another
    version of Ray; BackendUnavailable when nothing answers.
    """
    if not url.startswith(("http://", "https://")):
        raise InvalidRequest(
            f"--cluster {url!r} is no address of a job server; write http://127.0.0.1:8265, where "
            "`ray dashboard cluster.yaml` or `kubectl port-forward` brings it"
        )
    headers = _headers()
    _require_same_ray(_version_answer(url.rstrip("/"), headers), url)
    for name in _NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    with _own_address():
        return JobSubmissionClient(url, headers=headers)


def atelier_jobs(client: JobSubmissionClient) -> list[JobDetails]:
    """Returns our jobs on the cluster, the newest first."""
    jobs = [
        job for job in client.list_jobs() if job.submission_id and JOB_TAG in (job.metadata or {})
    ]
    return sorted(jobs, key=lambda job: job.start_time or 0, reverse=True)


def unreachable_error(url: str, reason: str) -> BackendUnavailable:
    """Returns the error for an address where no job server answers."""
    return BackendUnavailable(
        f"no job server answers at {url} ({reason}); see that the cluster is up and the way to it "
        "open: ray dashboard cluster.yaml, or kubectl port-forward service/atelier-head-svc 8265",
        backend="ray",
        retryable=True,
    )


def _headers() -> dict[str, str]:
    token = _token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _token() -> str:
    """Looks where Ray does: the variable, the file that a variable names, the file in the home."""
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        return token.strip()
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    file = Path(named) if named else _TOKEN_FILE.expanduser()
    if named and not file.is_file():
        raise InvalidRequest(f"RAY_AUTH_TOKEN_PATH is {named}, where no file is; correct it")
    return file.read_text().strip() if file.is_file() else ""


def _version_answer(url: str, headers: dict[str, str]) -> Any:
    try:
        answer = requests.get(f"{url}/api/version", headers=headers, timeout=ANSWER_SECONDS)
    except requests.exceptions.RequestException as exc:
        raise unreachable_error(url, type(exc).__name__) from exc
    if answer.status_code == requests.codes.unauthorized:
        raise InvalidRequest(
            f"the cluster at {url} asks for its token; put it into {_TOKEN_FILE} with mode 0600, "
            "or name its file in RAY_AUTH_TOKEN_PATH"
        )
    if answer.status_code == requests.codes.forbidden:
        raise InvalidRequest(
            f"the cluster at {url} does not know the token that was sent; take the cluster's own, "
            f"in {_TOKEN_FILE}, or in the file that RAY_AUTH_TOKEN_PATH names"
        )
    if answer.status_code != requests.codes.ok:
        raise unreachable_error(url, f"status {answer.status_code}")
    try:
        return answer.json()
    except requests.exceptions.JSONDecodeError as exc:
        raise unreachable_error(url, "something else listens there") from exc


def _require_same_ray(answer: Any, url: str) -> None:
    theirs = answer.get("ray_version") if isinstance(answer, dict) else None
    if theirs is None:
        raise unreachable_error(url, "something else listens there")
    if theirs != ray.__version__:
        raise InvalidRequest(
            f"the cluster at {url} runs Ray {theirs}, and this is made for {ray.__version__}; "
            "build the cluster's image from this checkout: deployments/Dockerfile"
        )


@contextmanager
def _own_address() -> Iterator[None]:
    """Hides the variables that Ray prefers to the address it is given."""
    kept = {name: os.environ.pop(name) for name in _PREFERRED if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
