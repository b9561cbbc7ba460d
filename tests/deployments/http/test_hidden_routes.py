"""Serve's own routes: which of them the proxy keeps to itself."""

import asyncio
import subprocess
import sys

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from deployments.http.hidden_routes import middlewares


async def answer(request: Request) -> Response:
    return PlainTextResponse(request.url.path)


def status_of(path: str) -> int:
    """What the proxy's middlewares let through to something that answers everything."""
    app = Starlette(routes=[Route("/{path:path}", answer)], middleware=middlewares())

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://one") as client:
            return await client.get(path)

    return asyncio.run(ask()).status_code


def test_the_list_of_applications_is_told_to_nobody_and_all_else_passes() -> None:
    assert status_of("/-/routes") == 403
    assert [status_of(path) for path in ("/-/healthz", "/", "/v1/models")] == [200] * 3


def test_the_proxy_imports_nothing_slow_for_it() -> None:
    code = (
        "import deployments.http.hidden_routes, sys\n"
        "print({'ray', 'torch', 'fastapi'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
