"""A hosted provider on loopback: it speaks the real protocol, keeps a diary, and can misbehave."""

import io
import json
from base64 import b64encode
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from PIL import Image

from app.backends.openai_images import OpenAIImages
from app.backends.retry import RetryPolicy
from app.models.describe import describe_hosted, hosted_endpoint
from app.types import GenerationRequest, ModelVersion, Route, Size

SIDE = 16
KEY = "sk-a-very-secret-key"
QUICK = RetryPolicy(backoff_seconds=0.001, longest_wait_seconds=5)


@dataclass(frozen=True)
class Reply:
    """What goes over the wire; `lost` closes the connection instead, `cut` ends the body early."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    lost: bool = False
    cut: int = 0
    waits: bool = False
    """It says nothing until the provider is closed."""
    drips: bool = False
    """One byte at a time, without end."""


@dataclass(frozen=True)
class RecordedCall:
    """One line of the diary."""

    at: float
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def key(self) -> str:
        """The idempotency key; who sends none repeats a call by asking for the same."""
        return self.headers.get("idempotency-key") or json.dumps(self.body, sort_keys=True)


Fault = Callable[[bytes], Reply]
"""From the good answer to what is sent instead."""


def good_reply(answer: bytes) -> Reply:
    """Nothing goes wrong."""
    return Reply(body=answer)


class Provider:
    """`faults` befall the calls in their order, `always` all after them.

    It honours keys: what it painted under a key it gives again, and charges once.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.faults: list[Fault] = []
        self.always: Fault = good_reply
        self.mode = "RGB"
        self.calls: list[RecordedCall] = []
        self.painted: dict[str, bytes] = {}
        self.closing = Event()
        self.lock = Lock()

    @property
    def host(self) -> str:
        """As keys name it."""
        return self.url.removeprefix("http://").removesuffix("/v1")

    def reply(self, call: RecordedCall) -> Reply:
        """What becomes of a call."""
        with self.lock:
            self.calls.append(call)
            fault = self.faults.pop(0) if self.faults else self.always
            answer = self.painted.setdefault(call.key, self._paint(call))
        return fault(answer)

    def _paint(self, call: RecordedCall) -> bytes:
        """Without a seed every picture is another one."""
        seed = call.body.get("seed", len(self.painted))
        shade = sha256(f"{call.body['prompt']}{seed}".encode()).digest()
        width, height = map(int, call.body["size"].split("x"))
        return answer_of(png_of(width, height, shade, self.mode))


def png_of(width: int, height: int, shade: bytes, mode: str = "RGB") -> bytes:
    """A picture with an edge in it."""
    image = Image.new(mode, (width, height), tuple(shade[: len(mode)]))
    image.paste((255,) * len(mode), (width // 4, height // 4, width // 2, height // 2))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def answer_of(*files: bytes) -> bytes:
    """The body of a good answer, with fields that nobody asked for."""
    data = [{"b64_json": b64encode(file).decode(), "revised_prompt": "nicer"} for file in files]
    return json.dumps({"created": 1, "data": data, "usage": {"total_tokens": 7}}).encode()


def model_at(url: str, *capabilities: str, **changes: Any) -> ModelVersion:
    """A version that the provider renders."""
    fields: dict[str, Any] = {"licence": "their terms", "sizes": [Size(width=SIDE, height=SIDE)]}
    fixed = {name: changes.pop(name) for name in ("options", "until") if name in changes}
    endpoint = hosted_endpoint(url, "painter-1", **fixed)
    return describe_hosted(endpoint, "painter", capabilities=capabilities, **(fields | changes))


def route_to(model: ModelVersion) -> Route:
    """As the router would say it."""
    return Route(backend=model.backend, model=model, reason="the test names it")


def backend_of(model: ModelVersion, **options: Any) -> OpenAIImages:
    """A client with little patience."""
    usual: dict[str, Any] = {"timeout_seconds": 60, "at_once": 2, "patience": QUICK}
    assert model.hosted is not None
    return OpenAIImages(route_to(model), model.hosted, options.pop("key", None), **usual | options)


def asked(seed: int = 0, **changes: Any) -> GenerationRequest:
    """What the provider can be asked for."""
    fields: dict[str, Any] = {
        "prompt": "a red potion", "width": SIDE, "height": SIDE, "seed": seed,
        "num_inference_steps": 1, "guidance_scale": 0,
    }  # fmt: skip
    return GenerationRequest(**fields | changes)


@contextmanager
def provider() -> Generator[Provider]:
    """One that is open for business."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    opened = Provider(f"http://127.0.0.1:{server.server_port}/v1")
    server.provider = opened  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield opened
    finally:
        opened.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_POST(self) -> None:
        """One call."""
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = RecordedCall(monotonic(), self.path, headers, json.loads(body))
        reply = self.server.provider.reply(call)
        with suppress(ConnectionError):  # whoever asked may have gone
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        closing = self.server.provider.closing
        if reply.waits:
            closing.wait()
        if reply.waits or reply.lost:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in reply.headers:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) - reply.cut])
        self.close_connection = bool(reply.cut)
        while reply.drips and not closing.wait(0.01):
            self.wfile.write(b" ")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""
