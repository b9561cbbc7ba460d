"""The ASGI middleware in front of all endpoints: API keys, local access, and the limits of a call.

It reads the whole body, within its limit, before an endpoint is called, so that endpoints never
wait for a slow caller. Without keys only this machine may call, by a loopback name and not from
pages of other origins: a browser sends the origin of the page that makes the request.
"""

import asyncio
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.keys import KeyOwner
from app.api.responses import Problem
from deployments.args import CallLimits
from deployments.calls.idempotency import CallRefused
from deployments.problems import respond

OPEN_ENDPOINTS = frozenset({"/", "/healthz", "/readyz"})
"""They need no key and take no body: the page itself asks the user for the key."""
OPEN_FILES = "/static/"
IMAGE_ENDPOINTS = frozenset({"/v1/images/edits"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
OWNER = "atelier.owner"
"""The entry of the ASGI scope for the key's owner; `ANONYMOUS` where no key is needed."""
ANONYMOUS = KeyOwner()


class Keys(Protocol):
    """Looks up the owner of a key: a `KeyRing`, or `LiveKeys` that re-read their file."""

    @property
    def required(self) -> bool:
        """Returns whether callers need a key."""
        ...

    def owner(self, key: str) -> KeyOwner | None:
        """Returns the owner of a key; None for an unknown key."""
        ...


class AuthMiddleware:
    """Passes calls that `limits` and `keys` allow to `app`, and refuses the others."""

    def __init__(self, app: ASGIApp, *, limits: CallLimits, keys: Keys) -> None:
        self._app = app
        self._limits = limits
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a call; passes on everything but HTTP."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            headers = self._headers(scope)
            owner = self._owner(scope, headers)
            body = await self._body(scope, headers, receive)
        except CallRefused as refused:
            await respond(refused.problem)(scope, receive, send)
            return
        await self._app({**scope, OWNER: owner}, _ReplayedBody(body, receive), send)

    def _headers(self, scope: Scope) -> Headers:
        size = sum(len(name) + len(value) for name, value in scope["headers"])
        if size > self._limits.header_bytes:
            raise _refused(
                431,
                "headers_too_large",
                f"the headers are larger than {self._limits.header_bytes} bytes",
            )
        return Headers(scope=scope)

    def _owner(self, scope: Scope, headers: Headers) -> KeyOwner:
        if not self._keys.required:
            _check_local(scope, headers)
            return ANONYMOUS
        if is_open(scope["path"]):
            return ANONYMOUS
        scheme, _, key = headers.get("authorization", "").partition(" ")
        owner = self._keys.owner(key.strip()) if scheme.lower() == "bearer" else None
        if owner is None:
            raise _refused(
                401,
                "invalid_api_key",
                "the API key is missing or unknown; send Authorization: Bearer KEY",
            )
        return owner

    def _max_body(self, path: str) -> int:
        """Returns the limit in bytes: 0 where no key is needed, more where images are uploaded."""
        if is_open(path):
            return 0
        return self._limits.picture_bytes if path in IMAGE_ENDPOINTS else self._limits.body_bytes

    async def _body(self, scope: Scope, headers: Headers, receive: Receive) -> bytes:
        limit = self._max_body(scope["path"])
        if _declared_length(headers) > limit:
            raise _too_large(limit)
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _refused(400, "incomplete_body", "the body ended early")
                    body += message.get("body", b"")
                    if len(body) > limit:
                        raise _too_large(limit)
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError as exc:
            raise _refused(
                408, "slow_body", f"the body took over {self._limits.body_seconds:g} s"
            ) from exc


class _ReplayedBody:
    """Sends the body as one message, then the further messages of the connection."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._messages: Iterator[dict[str, Any]] = iter(
            [{"type": "http.request", "body": body, "more_body": False}]
        )
        self._receive = receive

    async def __call__(self) -> Message:
        message = next(self._messages, None)
        return await self._receive() if message is None else message


def is_open(path: str) -> bool:
    """Returns whether a path is answered without a key."""
    return path in OPEN_ENDPOINTS or path.startswith(OPEN_FILES)


def _check_local(scope: Scope, headers: Headers) -> None:
    """Raises CallRefused for another machine, host name or origin."""
    remedy = "create a key first: atelier keys add NAME"
    client = scope.get("client")
    if client and client[0] and not _is_loopback(client[0]):
        raise _refused(403, "keys_required", f"without keys only this machine may call; {remedy}")
    host = headers.get("host", "")
    if _host_name(host) not in LOOPBACK_NAMES:
        raise _refused(403, "unknown_host", f"without keys the host must be localhost; {remedy}")
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        raise _refused(403, "foreign_origin", f"pages of other origins may not call; {remedy}")


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _declared_length(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit():
        raise _refused(400, "invalid_length", "Content-Length is not a number")
    return int(length)


def _too_large(limit: int) -> CallRefused:
    return _refused(413, "body_too_large", f"the body is larger than {limit} bytes")


def _refused(status: int, code: str, message: str) -> CallRefused:
    return CallRefused(Problem(status=status, code=code, message=message))
