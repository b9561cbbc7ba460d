"""The one client for every service: requests at their times, or a number of clients at once.

A latency counts from the moment at which the trace meant a request to be sent, so that a client
that falls behind shows it in its figures.
"""

import asyncio
import json
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

import httpx

from app.errors import BackendError
from jobs.bench.serve.arrivals import TimedRequest

PREVIEWS = 3
"""As many as OpenAI's API allows."""
KEEP_ALIVE_SECONDS = 2.0
"""Shorter than any server's, so that none closes a connection under a request."""
ANSWER_SECONDS = 300.0
"""Longer than any queue of the benchmark; what takes longer is broken."""
GAVE_UP, BROKEN = 0, -1
"""In place of a status: the client's patience ended, or the connection broke."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, the PNG where there is one, and when the first preview arrived, if one did."""

    status: int
    png: bytes = b""
    first_at: float | None = None


class ImageClient(Protocol):
    """Makes an image from a request: a service, or the engine itself."""

    async def __call__(self, request: TimedRequest) -> Reply:
        """Runs one request to its end."""


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """The outcome of a request; times in seconds, `ended` after the start of the trace."""

    asked: TimedRequest
    status: int
    ended: float
    first_seconds: float | None = None

    @property
    def seconds(self) -> float:
        """Returns the seconds from when it was due to be sent to the end of the answer."""
        return self.ended - self.asked.arrival.at

    @property
    def served(self) -> bool:
        """Returns whether an image was received."""
        return self.status == 200


class HttpClient:
    """A service at `path`; with `previews` long requests are streamed, as a page would."""

    def __init__(self, client: httpx.AsyncClient, path: str, *, previews: bool) -> None:
        self._client = client
        self._path = path
        self._previews = previews

    async def __call__(self, request: TimedRequest) -> Reply:
        """Sends one POST; a broken connection is a reply too."""
        body = request.request.model_dump(mode="json", exclude_defaults=True)
        if self._previews and not request.is_draft:
            body |= {"stream": True, "partial_images": PREVIEWS}
        try:
            return await self._post(body)
        except httpx.TransportError:
            return Reply(BROKEN)

    async def _post(self, body: dict[str, Any]) -> Reply:
        first_at, last = None, ""
        async with self._client.stream("POST", self._path, json=body) as response:
            async for line in response.aiter_lines():
                if first_at is None and line == "event: image_generation.partial_image":
                    first_at = monotonic()
                last = line or last
        png = _png(last.removeprefix("data: ")) if response.status_code == 200 else b""
        status = response.status_code if png or response.status_code != 200 else BROKEN
        return Reply(status, png, first_at)


def _png(answer: str) -> bytes:
    """Returns the image in an answer or in its last event; empty for an error."""
    document = json.loads(answer or "{}")
    images = document.get("data", [document])
    return b64decode(images[0].get("b64_json", ""))


def new_client(url: str) -> httpx.AsyncClient:
    """Returns a client without a connection limit: requests queue at the service only."""
    limits = httpx.Limits(max_connections=None, keepalive_expiry=KEEP_ALIVE_SECONDS)
    return httpx.AsyncClient(base_url=url, timeout=ANSWER_SECONDS, limits=limits, trust_env=False)


async def open_loop(
    call: ImageClient, requests: Sequence[TimedRequest], *, patience_seconds: float | None = None
) -> list[RequestOutcome]:
    """Sends every request at its time, whatever the earlier ones do; outcomes in order of arrival.

    After `patience_seconds` a client closes its connection.
    """
    started = monotonic()

    async def send(wanted: TimedRequest) -> RequestOutcome:
        due = started + wanted.arrival.at
        await asyncio.sleep(due - monotonic())
        reply = await _with_timeout(call, wanted, patience_seconds and due + patience_seconds)
        first = reply.first_at and reply.first_at - due
        return RequestOutcome(wanted, reply.status, monotonic() - started, first)

    return list(await asyncio.gather(*(send(wanted) for wanted in requests)))


async def _with_timeout(call: ImageClient, wanted: TimedRequest, until: float | None) -> Reply:
    deadline = until and asyncio.get_running_loop().time() + until - monotonic()
    try:
        async with asyncio.timeout_at(deadline):
            return await call(wanted)
    except TimeoutError:
        return Reply(GAVE_UP)


async def closed_loop(
    call: ImageClient, requests: Sequence[TimedRequest], *, clients: int
) -> float:
    """Runs clients that each ask again once they have an image; returns the seconds for all.

    Raises BackendError when one of them gets no image: then nothing was saturated.
    """
    waiting = iter(requests)
    started = monotonic()
    await asyncio.gather(*(_ask_all(call, waiting) for _ in range(clients)))
    return monotonic() - started


async def _ask_all(call: ImageClient, waiting: Iterator[TimedRequest]) -> None:
    for wanted in waiting:
        reply = await call(wanted)
        if reply.status != 200:
            raise BackendError(
                f"a request was answered {reply.status} where none may be refused; read the log of "
                "the service",
                backend="http",
            )
