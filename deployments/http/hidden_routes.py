"""Keeps Serve's own list of applications to itself: `/-/routes`, which asks nobody for a key.

Serve's proxy answers it before any application is asked. It calls `middlewares` where the
environment of `ray start` has RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH with this module's name,
as in `cluster.yaml`; so nothing is imported here that is slow.
"""

from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HIDDEN = frozenset({"/-/routes"})


class HiddenRoutes:
    """Passes everything on but these, which are forbidden to everybody."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call; what is no HTTP passes."""
        shut = scope["type"] == "http" and scope["path"] in HIDDEN
        answer = PlainTextResponse("not told to callers\n", status_code=403) if shut else self._app
        await answer(scope, receive, send)


def middlewares() -> list[Middleware]:
    """What Serve's proxy puts before everything that it answers."""
    return [Middleware(HiddenRoutes)]
