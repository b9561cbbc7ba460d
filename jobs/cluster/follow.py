"""Follows a job: prints its log lines until it ends, and returns the document that it printed."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from time import sleep
from typing import Any

import aiohttp
import requests
from ray.job_submission import JobDetails, JobSubmissionClient

from app.cli.output import FAILED, INTERRUPTED
from jobs.cluster.job_client import ACTIVE, unreachable_error

PAUSE_SECONDS = 1.0
LOST_AFTER = 30
"""After this many failed requests in a row the cluster counts as lost."""
_LOST = (RuntimeError, aiohttp.ClientError, requests.exceptions.RequestException, OSError)


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended: its process's exit code, and the one JSON document it printed."""

    exit_code: int
    document: dict[str, Any] | None
    message: str


class LogLines:
    """The log in whole lines: `say` gets each except those of the JSON document."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._taken = 0
        self._begun = ""
        self._held: list[str] = []
        self.document: dict[str, Any] | None = None

    def take(self, text: str, at: int) -> int:
        """Takes the log's text from position `at` except what was taken before; returns its end."""
        fresh = text[max(self._taken - at, 0) :]
        self._taken = max(self._taken, at + len(text))
        *whole, self._begun = (self._begun + fresh).split("\n")
        for line in whole:
            self._line(line)
        return at + len(text)

    def end(self) -> None:
        """Reports what is left: an unfinished line, or lines that only began like the document."""
        for line in (*self._held, *([self._begun] if self._begun else [])):
            self._say(line)
        self._held, self._begun = [], ""

    def _line(self, line: str) -> None:
        if not self._held and line != "{":
            self._say(line)
            return
        self._held.append(line)
        if line == "}":
            self._close()

    def _close(self) -> None:
        try:
            self.document = json.loads("\n".join(self._held))
        except ValueError:
            return self.end()
        self._held = []


def follow(client: JobSubmissionClient, job_id: str, say: Callable[[str], None]) -> JobEnd:
    """Reports the job's lines until it has ended; a broken connection is resumed.

    Raises BackendUnavailable when the cluster stays unreachable, which does not end the job.
    """
    lines, lost = LogLines(say), 0
    while True:
        try:
            asyncio.run(_tail(client, job_id, lines))
            job = client.get_job_info(job_id)
        except _LOST as exc:
            lost += 1
            if lost > LOST_AFTER:
                raise unreachable_error(client.get_address(), type(exc).__name__) from exc
        else:
            lost = 0
            if job.status not in ACTIVE:
                lines.end()
                return _ended(job, lines)
        sleep(PAUSE_SECONDS)


async def _tail(client: JobSubmissionClient, job_id: str, lines: LogLines) -> None:
    at = 0
    async for text in client.tail_job_logs(job_id):
        at = lines.take(text, at)


def _ended(job: JobDetails, lines: LogLines) -> JobEnd:
    code = job.driver_exit_code
    if code is None:
        code = INTERRUPTED if job.status == "STOPPED" else FAILED
    return JobEnd(exit_code=code, document=lines.document, message=job.message or "")
