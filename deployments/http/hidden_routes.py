"""Hides Serve's own list of applications, `/-/routes`, which needs no key.

Serve's proxy answers it before any application is asked. It calls `middlewares` where the
environment of `ray start` has RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH with this module's name, as
in `cluster.yaml`; so nothing slow is imported here.
"""

from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HIDDEN = frozenset({"/-/routes"})


class HiddenRoutes:
    """Passes every call on, except those to the hidden paths, which get 403."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one call; anything but HTTP is passed on."""
        shut = scope["type"] == "http" and scope["path"] in HIDDEN
        answer = PlainTextResponse("not told to callers\n", status_code=403) if shut else self._app
        await answer(scope, receive, send)


def middlewares() -> list[Middleware]:
    """Returns the middleware that Serve's proxy runs before everything it answers."""
    return [Middleware(HiddenRoutes)]
