"""In front of the endpoints: keys, local access, and the limits of headers and bodies."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.keys import KeyOwner, KeyRing
from app.digest import digest_bytes
from deployments.args import CallLimits
from deployments.http.auth import ANONYMOUS, OWNER, AuthMiddleware, Keys

LIMITS = CallLimits(
    body_bytes=1000,
    body_seconds=60,
    header_bytes=500,
    retry_after_seconds=1,
    kept_answers=1,
    kept_bytes=1,
    picture_bytes=5000,
)
TEAM = KeyOwner(name="anna", team="team-a", images_at_once=4)
KEYS = KeyRing(owners={digest_bytes(b"secret"): TEAM})


class InnerApp:
    """What stands behind the guard: notes who came in and with what."""

    def __init__(self) -> None:
        self.owner: KeyOwner | None = None
        self.body = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        self.owner, self.body = scope[OWNER], message["body"]
        assert not message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class Caller:
    """One call over ASGI; `read` counts the bytes that were taken from it."""

    def __init__(
        self,
        chunks: Iterable[bytes] = (b"",),
        *,
        client: str = "127.0.0.1",
        path: str = "/generate",
        **headers: str,
    ) -> None:
        self._chunks = iter(chunks)
        self.read = 0
        named = {"host": "localhost:8000"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        self.scope: Scope = {
            "type": "http",
            "path": path,
            "client": (client, 1234),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        self.sent: list[Message] = []

    async def _receive(self) -> dict[str, Any]:
        chunk = next(self._chunks, None)
        self.read += len(chunk or b"")
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    def call(self, room: InnerApp, *, limits: CallLimits = LIMITS, keys: Keys = KeyRing()) -> int:  # noqa: B008
        """Knock; returns the status."""
        asyncio.run(
            AuthMiddleware(room, limits=limits, keys=keys)(self.scope, self._receive, self._send)
        )
        status: int = self.sent[0]["status"]
        return status


def test_a_body_in_pieces_comes_in_whole() -> None:
    room = InnerApp()
    assert Caller([b"one ", b"two"]).call(room) == 200
    assert (room.body, room.owner) == (b"one two", ANONYMOUS)


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    caller = Caller([b"x" * 1001], content_length="1001")
    assert caller.call(InnerApp()) == 413
    assert caller.read == 0


def test_a_body_that_does_not_say_is_counted_while_it_is_read() -> None:
    caller = Caller(b"x" * 400 for _ in range(1000))
    assert caller.call(InnerApp()) == 413
    assert caller.read == 1200


def test_a_body_of_exactly_the_limit_comes_in() -> None:
    room = InnerApp()
    assert Caller([b"x" * 1000], content_length="1000").call(room) == 200
    assert len(room.body) == 1000


def test_where_pictures_come_along_a_body_may_be_larger() -> None:
    room = InnerApp()
    assert Caller([b"x" * 5000], path="/v1/images/edits").call(room) == 200
    assert Caller([b"x" * 5001], path="/v1/images/edits").call(room) == 413
    assert Caller([b"x" * 5000], path="/v1/images/editsx").call(room) == 413


def test_a_body_that_never_ends_is_given_up() -> None:
    class Slow(Caller):
        async def _receive(self) -> dict[str, Any]:
            return await asyncio.Event().wait() or {}

    assert Slow().call(InnerApp(), limits=LIMITS.replace(body_seconds=0.01)) == 408


@pytest.mark.parametrize("length", ["-1", "ten", "1e3", "²"])
def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    assert Caller(content_length=length).call(InnerApp()) == 400


def test_headers_beyond_the_limit_are_refused() -> None:
    assert Caller(cookie="x" * 400).call(InnerApp()) == 200
    assert Caller(cookie="x" * 500).call(InnerApp()) == 431


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000"])
def test_this_machine_may_call_by_its_loopback_names(host: str) -> None:
    assert Caller(host=host).call(InnerApp()) == 200
    assert Caller(host=host, origin=f"http://{host}").call(InnerApp()) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost.evil.example"},
        {"host": ""},
        {"host": "[::1"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9000"},
    ],
)
def test_other_names_and_pages_of_other_origins_may_not(headers: dict[str, str]) -> None:
    assert Caller(**headers).call(InnerApp()) == 403


@pytest.mark.parametrize("client", ["10.0.0.1", "::ffff:10.0.0.1", "somewhere"])
def test_without_keys_other_machines_may_not_call(client: str) -> None:
    assert Caller(client=client).call(InnerApp()) == 403


def test_with_keys_whoever_has_one_may_call_from_anywhere() -> None:
    room = InnerApp()
    caller = Caller(client="10.0.0.1", host="atelier.example", authorization="Bearer secret")
    assert caller.call(room, keys=KEYS) == 200
    assert room.owner == TEAM


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"authorization": "Basic secret"},
        {"authorization": "secret"},
    ],
)
def test_with_keys_nobody_comes_in_without_one(headers: dict[str, str]) -> None:
    room, caller = InnerApp(), Caller([b"body"], **headers)
    assert caller.call(room, keys=KEYS) == 401
    assert (room.owner, caller.read) == (None, 0)


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/static/page.js"])
def test_the_page_and_what_watches_need_no_key_and_have_no_owner(path: str) -> None:
    room = InnerApp()
    assert Caller(path=path, authorization="Bearer secret").call(room, keys=KEYS) == 200
    assert room.owner == ANONYMOUS
    assert Caller(path=path).call(InnerApp(), keys=KEYS) == 200
    assert Caller(path=path, host="evil.example").call(InnerApp()) == 403


def test_endpoints_without_a_key_take_no_body_so_that_strangers_fill_no_memory() -> None:
    caller = Caller(b"x" for _ in range(1000))
    caller.scope["path"] = "/healthz"
    assert caller.call(InnerApp(), keys=KEYS) == 413
    assert caller.read == 1


@pytest.mark.parametrize("path", ["/v1/models", "/openapi.json", "/static", "/healthz/", "//"])
def test_every_other_path_needs_one(path: str) -> None:
    assert Caller(path=path).call(InnerApp(), keys=KEYS) == 401


def test_a_ring_whose_last_key_was_revoked_lets_nobody_in() -> None:
    caller = Caller(authorization="Bearer secret")
    assert caller.call(InnerApp(), keys=KeyRing(closed=True)) == 401
