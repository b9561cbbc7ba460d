"""The page as a person has it open, and the service that it speaks to; both over loopback."""

import asyncio
import json
import re
import socket
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from threading import Thread
from typing import Any

import httpx
import uvicorn
from playwright.sync_api import Locator, Page, Request, expect

from app.api.keys import KeyOwner
from deployments.http.app import create_app
from deployments.http.auth import AuthMiddleware
from deployments.preview_service import PreviewService
from tests.deployments.workers import LIMITS

IMAGES = "/v1/images/generations"
PROMPT = "red potion, cartoon outline"
WAIT = 60_000  # milliseconds; machines are busy


class Lock:
    """The keys of the service: none is needed until `key` is set."""

    key = ""

    @property
    def required(self) -> bool:
        """Whether callers need it."""
        return self.key != ""

    def owner(self, key: str) -> KeyOwner | None:
        """Whose it is."""
        return KeyOwner(name="anna", team="art") if key == self.key else None


class Visit:
    """The page as a person has it open, and all that it asked for."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        page.on(
            "console", lambda message: self.complaints.append(f"{message.type}: {message.text}")
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda asked: self.requests.append(asked))
        page.set_default_timeout(WAIT)
        page.goto(url)
        expect(self.at("#service")).to_have_attribute("data-state", re.compile("ready|locked"))

    def at(self, selector: str) -> Locator:
        """What stands there."""
        return self.page.locator(selector)

    def press(self, *keys: str) -> None:
        """These keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def ask(self, prompt: str = PROMPT) -> None:
        """Type it and press the chord."""
        self.at("#prompt").fill(prompt)
        self.press("Control+Enter")

    def leave_fields(self) -> None:
        """Single letters are keys only outside of text."""
        self.at("h1").click()

    def made(self, history: int) -> None:
        """Wait until so many calls stand in the strip and nothing is under way."""
        expect(self.at("#history .made")).to_have_count(history)
        expect(self.at("#history .made").last).to_have_attribute("data-status", "done")
        expect(self.at("#make")).to_be_visible()

    def sent(self, path: str = IMAGES) -> dict[str, Any]:
        """The last body that the page sent to this endpoint."""
        bodies = [request.post_data for request in self.requests if request.url.endswith(path)]
        body: dict[str, Any] = json.loads(bodies[-1] or "")
        return body

    def fact(self, name: str) -> str:
        """What the inspector says of the picture."""
        value = self.at(f"#panel-facts dt:text-is('{name}') + dd")
        return value.inner_text()

    def file(self) -> bytes:
        """The picture as it is downloaded."""
        self.at("#tab-facts").click()
        with self.page.expect_download() as download:
            self.at("#panel-facts a[download]").click()
        return download.value.path().read_bytes()

    def code(self, tongue: str) -> str:
        """The request as it is copied, out of the clipboard."""
        self.at("#tab-code").click()
        self.at(f"[name=tongue][value={tongue}]").check()
        self.at("#copy").click()
        expect(self.at("#copied")).to_have_text("Copied.")
        copied: str = self.page.evaluate("navigator.clipboard.readText()")
        return copied


@contextmanager
def served(
    services: Callable[[], AbstractAsyncContextManager[PreviewService]], lock: Lock
) -> Generator[str]:
    """The service at an address of this machine, in a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        async with services() as service:
            guard = AuthMiddleware(create_app(service, lock), limits=LIMITS, keys=lock)
            config = uvicorn.Config(guard, lifespan="off", log_level="warning", ws="none")
            servers.append(uvicorn.Server(config))
            await servers[0].serve(sockets=[listening])

    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        httpx.get(f"{url}/healthz", timeout=WAIT).raise_for_status()
        yield url
    finally:
        servers[0].should_exit = True
        thread.join()
