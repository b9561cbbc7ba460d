"""A proxy before the S3 server: it checks what moto leaves unchecked, and fails when told to."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """Answer with this status and code in the server's place."""

    status: int
    code: str


@dataclass(frozen=True)
class Flip:
    """Flip one bit of the body: on its way up for a PUT, on its way down for a GET."""


@dataclass(frozen=True)
class Cut:
    """Send half of the answer's body and hang up."""


@dataclass(frozen=True)
class Lose:
    """Let the server do its work and hang up without its answer."""


Fault = Answer | Flip | Cut | Lose


@dataclass
class Proxy:
    """What happens to the next requests of each method, and what was asked so far."""

    upstream: str
    checks: bool = True
    """Whether wrong checksums are refused and right ones confirmed, as S3 itself does."""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    url: str = ""

    def fail(self, method: str, *faults: Fault) -> None:
        """Let the next requests of this method meet these faults, one each."""
        self.faults.setdefault(method, []).extend(faults)

    def next_fault(self, method: str) -> Fault | None:
        """The fault for a request that has just come in."""
        self.seen.append(method)
        waiting = self.faults.get(method)
        return waiting.pop(0) if waiting else None


@contextmanager
def proxy_before(upstream: str, *, checks: bool = True) -> Iterator[Proxy]:
    """A proxy on loopback before the server with this URL."""
    proxy = Proxy(upstream, checks)
    handler = type("Bound", (_Handler,), {"proxy": proxy})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def _any(self) -> None:
        fault = self.proxy.next_fault(self.command)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if isinstance(fault, Answer):
            return self._say(fault.status, _error(fault.code))
        if isinstance(fault, Flip) and self.command == "PUT":
            body = _flipped(body)
        if self.command == "PUT" and self.proxy.checks and self._wrong(body):
            return self._say(400, _error("BadDigest"))
        status, headers, answer = self._forward(body)
        if isinstance(fault, Lose):
            self.close_connection = True
            return None
        if isinstance(fault, Flip) and self.command == "GET":
            answer = _flipped(answer)
        return self._say(status, answer, headers, cut=isinstance(fault, Cut))

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _any

    def _wrong(self, body: bytes) -> bool:
        sent = self.headers.get("x-amz-checksum-sha256")
        return sent is not None and sent != b64encode(sha256(body).digest()).decode()

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = HTTPConnection(urlsplit(self.proxy.upstream).netloc)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "expect"}
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        kept = [(k, v) for k, v in response.getheaders() if k.lower() not in _OWN]
        if not self.proxy.checks:
            # moto repeats the checksum it was told; a server that knows none says nothing.
            kept = [(k, v) for k, v in kept if not k.lower().startswith("x-amz-checksum")]
        if self.command == "HEAD":
            kept.append(("Content-Length", response.getheader("Content-Length", "0")))
        connection.close()
        return response.status, kept, answer

    def _say(
        self,
        status: int,
        body: bytes,
        headers: Sequence[tuple[str, str]] = (),
        *,
        cut: bool = False,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut

    def log_message(self, *_: Any) -> None:
        """The tests say what happened."""


_OWN = ("content-length", "connection", "transfer-encoding")


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>as told</Message></Error>".encode()


def _flipped(body: bytes) -> bytes:
    return bytes([body[0] ^ 1]) + body[1:]
